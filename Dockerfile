# Every base image can be replaced; the defaults are multi-platform (amd64, arm64) and Renovate moves tag and digest
# together. The digests are those that docker-library/repo-info lists for these versions.
ARG DEBIAN_IMAGE=debian:bookworm-slim@sha256:abd67ffcfa541b485a3dff59865ab629aa048a6c613e639d36e7456b0b229241
ARG PYTHON_IMAGE=python:3.12.14-slim-bookworm@sha256:0f5b26b9518d002b6173fd61daad821fa340635ebfec5bba471013f9ca114579
ARG NODE_IMAGE=node:24.18.1-bookworm-slim@sha256:235600a8101ab264e117b1768e925532262668dc9b581ef1dd7d96ced463b8e7
ARG GOLANG_IMAGE=golang:1.26.5-bookworm@sha256:551752d3ad9de9923190bf5280500617ed8fee287ffb4b0220e770ef89346258


# Python without what a renderer has no use for (its GUI, its C headers), and with bytecode: the official image ships
# none, and a user who may not write to /usr would compile the library anew in each process.
# "unchecked-hash": nothing is compared with its source at start, and layers do not depend on file times.
FROM ${PYTHON_IMAGE} AS python
RUN set -eu; \
    cd /usr/local/lib/python3.*; \
    rm -rf idlelib tkinter turtledemo lib2to3 pydoc_data config-3.* lib-dynload/_tkinter.* lib-dynload/_test* \
      lib-dynload/_xxtest* /usr/local/include /usr/local/share /usr/local/lib/pkgconfig \
      /usr/local/bin/*config /usr/local/bin/idle* /usr/local/bin/2to3* /usr/local/bin/pydoc*; \
    find . -name __pycache__ -prune -exec rm -rf {} +; \
    python3 -m compileall -q -j 0 --invalidation-mode unchecked-hash -x 'site-packages|ensurepip|bad_coding' .


# The cdk8s CLI from its lock file, without scripts. What goes: documentation and list texts that no command reads.
FROM ${NODE_IMAGE} AS cdk8s-cli
WORKDIR /opt/cdk8s-cli
COPY image/cdk8s-cli/package.json image/cdk8s-cli/package-lock.json ./
RUN set -eu; \
    npm ci --ignore-scripts --no-audit --no-fund --omit=dev; \
    rm -rf node_modules/cdk8s-plus-*/docs node_modules/spdx-license-list/licenses node_modules/.package-lock.json; \
    find node_modules -name '*.map' -delete; \
    find node_modules -name '*.md' ! -iname 'license*' -delete


# Node without its C headers, npm's manuals, and the symbol table of the binary, which only a debugger reads.
#
# git as Debian ships it, minus what is Perl, a server, a mail client or a translation. Installing the package would
# bring Perl (55 MB). The record in status.d keeps it visible to scanners and to SBOM tools.
FROM ${NODE_IMAGE} AS node
WORKDIR /build
RUN set -eu; \
    apt-get update; \
    apt-get install -y --no-install-recommends binutils; \
    strip /usr/local/bin/node; \
    rm -rf /usr/local/lib/node_modules/npm/docs /usr/local/lib/node_modules/npm/man \
      /usr/local/include /usr/local/share /usr/local/*.md /usr/local/bin/docker-entrypoint.sh; \
    find /usr/local/lib/node_modules -name '*.md' ! -iname 'license*' -delete; \
    corepack enable --install-directory /usr/local/bin yarn pnpm; \
    apt-get download git; \
    dpkg-deb -x git_*.deb /git; \
    mkdir -p /git/var/lib/dpkg/status.d; \
    dpkg-deb -f git_*.deb >/git/var/lib/dpkg/status.d/git; \
    cd /git/usr/lib/git-core; \
    ln -sf ../../bin/git git; \
    rm -f git-http-push git-imap-send git-http-backend git-daemon git-shell scalar; \
    find . -type f -exec grep -qIE '^#!.*(perl|python|tclsh)' {} ';' -delete; \
    rm -rf mergetools /git/usr/bin/git-shell /git/usr/bin/scalar /git/etc \
      /git/usr/share/git-core/templates/hooks /git/usr/share/bash-completion /git/usr/share/gitweb \
      /git/usr/share/lintian /git/usr/share/locale /git/usr/share/perl5; \
    find /git/usr/share/doc -type f ! -name copyright -delete


# Our own dependencies, by hash, wheels only: nothing of theirs is executed at build time.
FROM ${PYTHON_IMAGE} AS packages
WORKDIR /app
COPY requirements/runtime.txt ./
RUN set -eu; \
    pip install --require-hashes --only-binary :all: --no-deps --no-compile --no-cache-dir --disable-pip-version-check \
      --root-user-action ignore --target packages -r runtime.txt; \
    rm -rf packages/bin runtime.txt


FROM packages AS application
COPY entrypoint.py ./
COPY src src
RUN python3 -m compileall -q -j 0 --invalidation-mode unchecked-hash packages src && mv packages /packages


FROM ${DEBIAN_IMAGE} AS default
# A user for untrusted code where the workspace belongs to root; 1001 is also whom GitHub's own runners work as.
RUN set -eu; \
    apt-get update; \
    apt-get install -y --no-install-recommends \
      ca-certificates gpg gpg-agent libcurl3-gnutls libexpat1 libffi8 libreadline8 libsqlite3-0 libssl3 netbase \
      openssh-client tzdata; \
    rm -rf /var/lib/apt/lists/* /var/cache/apt/* /var/log/* /usr/share/doc/*/changelog* /usr/share/zoneinfo/right \
      /usr/share/zoneinfo/posix; \
    groupadd --gid 1001 cdk8s-app; \
    useradd --uid 1001 --gid cdk8s-app --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin cdk8s-app
COPY --from=node /usr/local /usr/local
COPY --from=python /usr/local /usr/local
COPY --from=node /git/usr /usr
COPY --from=node /git/var/lib/dpkg/status.d /var/lib/dpkg/status.d
COPY --from=cdk8s-cli /opt/cdk8s-cli /opt/cdk8s-cli
COPY --from=application /packages /app/packages
COPY --from=application /app /app
RUN ldconfig \
    && ln -s /opt/cdk8s-cli/node_modules/.bin/cdk8s /usr/local/bin/cdk8s \
    && ln -s /app/entrypoint.py /usr/local/bin/cdk8s-publish
ENV LANG=C.UTF-8 \
    COREPACK_ENABLE_DOWNLOAD_PROMPT=0
ARG VERSION=0
ARG REVISION=
ARG CREATED=
LABEL org.opencontainers.image.title="cdk8s-publish" \
      org.opencontainers.image.description="Renders a cdk8s app and publishes the YAML to the branch that Flux or Argo CD watches" \
      org.opencontainers.image.source="https://github.com/cdk8s-publish/cdk8s-publish" \
      org.opencontainers.image.documentation="https://github.com/cdk8s-publish/cdk8s-publish#readme" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.created="${CREATED}"
# `--version` leaves out what is missing or does not start.
HEALTHCHECK --interval=5m --timeout=60s \
  CMD ["sh", "-c", "test $(cdk8s-publish --version | grep -cE '^  (git|ssh|gpg|node|npm|cdk8s) ') = 6"]
# No init between: Python is process 1 and handles the signals of a cancelled job itself. "-I": variables and files of
# the user's checkout can't change what this Python imports.
ENTRYPOINT ["python3", "-I", "/app/entrypoint.py"]


# For apps in Go and Java, and for Python's larger package managers.
FROM ${GOLANG_IMAGE} AS golang
RUN rm -rf /usr/local/go/test /usr/local/go/doc /usr/local/go/api /usr/local/go/misc && \
    find /usr/local/go/src \( -name testdata -o -name '*_test.go' \) -prune -exec rm -rf {} +


FROM ${PYTHON_IMAGE} AS managers
COPY requirements/managers.txt /
RUN python3 -m venv --without-pip /opt/managers && \
    pip --python /opt/managers/bin/python install --require-hashes --only-binary :all: --no-deps --no-cache-dir \
      --disable-pip-version-check --root-user-action ignore -r /managers.txt


FROM default AS languages
RUN set -eu; \
    mkdir -p /usr/share/man/man1; \
    apt-get update; \
    apt-get install -y --no-install-recommends maven openjdk-17-jdk-headless; \
    rm -rf /var/lib/apt/lists/* /var/cache/apt/* /var/log/*
COPY --from=golang /usr/local/go /usr/local/go
COPY --from=managers /opt/managers /opt/managers
RUN ln -s /opt/managers/bin/pipenv /opt/managers/bin/poetry /opt/managers/bin/uv /usr/local/bin/
ENV PATH=/usr/local/go/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
    GOTOOLCHAIN=local


# A sidecar of argocd-repo-server: Argo CD mounts its own argocd-cmp-server over /var/run/argocd and starts that.
FROM default AS argocd
COPY image/argocd/plugin.yaml /home/argocd/cmp-server/config/plugin.yaml
RUN groupadd --gid 999 argocd \
    && useradd --uid 999 --gid argocd --no-create-home --home-dir /tmp --shell /usr/sbin/nologin argocd
USER 999
ENV HOME=/tmp
HEALTHCHECK NONE
ENTRYPOINT ["/var/run/argocd/argocd-cmp-server"]


# What a build without --target makes: an action's Dockerfile has no other choice than the last stage.
FROM default
