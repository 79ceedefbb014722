# shellcheck shell=bash
# Sourced by its neighbours: a private container engine below .tools/image, without a change to /etc or to the
# machine's own images. Nothing here can publish: the only registry it knows is "localhost".

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
tools=${IMAGE_TOOLS:-$root/.tools/image}
key=$(printf %s "$tools" | sha256sum | cut -c1-12)
# Short on purpose: podman refuses a run root whose sockets would not fit into 108 characters.
run_root=${TMPDIR:-/tmp}/cdk8s-publish-$key

say() { printf '\033[1m==> %s\033[0m\n' "$*" >&2; }
die() { printf 'error: %s\n' "$*" >&2; exit 1; }

write_configuration() {
  mkdir -p "$tools/storage" "$tools/tmp" "$tools/networks" "$run_root"
  cat >"$tools/storage.conf" <<CONF
[storage]
driver = "overlay"
graphroot = "$tools/storage"
runroot = "$run_root"
CONF
  # runc, not crun, and cgroupfs: there may be no systemd. Ulimits: the engine's defaults exceed what a container that
  # itself runs in a small machine may set. Host network: there may be no bridge; the tests' servers are on loopback.
  cat >"$tools/containers.conf" <<CONF
[containers]
netns = "host"
default_ulimits = ["nofile=20000:20000", "nproc=16384:16384"]
[network]
network_config_dir = "$tools/networks"
[engine]
runtime = "runc"
cgroup_manager = "cgroupfs"
events_logger = "file"
tmp_dir = "$run_root/libpod"
image_copy_tmp_dir = "$tools/tmp"
CONF
  printf 'unqualified-search-registries = ["localhost"]\nshort-name-mode = "disabled"\n' >"$tools/registries.conf"
  echo '{}' >"$tools/auth.json"
}

export IMAGE_SCRIPTS=$root/scripts/image
export CONTAINERS_CONF=$tools/containers.conf
export CONTAINERS_STORAGE_CONF=$tools/storage.conf
export CONTAINERS_REGISTRIES_CONF=$tools/registries.conf
export REGISTRY_AUTH_FILE=$tools/auth.json
export BUILDAH_ISOLATION=chroot
