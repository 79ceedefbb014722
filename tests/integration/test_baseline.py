"""What a publish would delete is told by what the branch applies now: attacks, and neighbours that must pass."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from support.checkouts import config_map

if TYPE_CHECKING:
    from collections.abc import Mapping

    from support.checkouts import Checkout
    from support.runner import Cli, Result

RUN = ("run", "--install", "none")
NAMESPACE = b"apiVersion: v1\nkind: Namespace\nmetadata:\n  name: shop\n"
CLAIM = b"apiVersion: v1\nkind: PersistentVolumeClaim\nmetadata:\n  name: data\n  namespace: shop\n"
LOCAL = b"  annotations:\n    config.kubernetes.io/local-config: 'true'\n"


def configs(count: int) -> dict[str, bytes]:
    return {f"c{number:02}.yaml": config_map(f"c{number:02}") for number in range(count)}


def listing(*names: str) -> bytes:
    return b"resources:\n" + b"".join(f"- {name}\n".encode() for name in names) if names else b"resources: []\n"


def publish(checkout: Checkout, cli: Cli, files: Mapping[str, bytes], *more: str) -> Result:
    checkout.render(dict(files))
    return cli.run(*RUN, *more, cwd=checkout.path)


def refused(checkout: Checkout, cli: Cli, files: Mapping[str, bytes], *rules: str) -> None:
    before = checkout.origin.refs()["refs/heads/manifests"]
    done = publish(checkout, cli, files).exits(4)
    for rule in rules:
        assert f"error {rule}" in done.text or f"to allow: {rule}" in done.text, done.text
    assert checkout.origin.refs()["refs/heads/manifests"] == before


def test_baseline__a_number_that_drifted_hides_no_empty_render__b1(checkout: Checkout, cli: Cli) -> None:
    publish(checkout, cli, configs(12)).ok()
    checkout.origin.commit("manifests", dict.fromkeys([f"dist/{name}" for name in configs(12)], b""), "By hand")
    publish(checkout, cli, configs(12)).ok()
    done = publish(checkout, cli, configs(12) | {"x.yaml": config_map("x")}, "--mode", "diff").ok()
    assert "Resources: 13 rendered" in done.stdout
    refused(checkout, cli, {}, "nothing-rendered")


def test_baseline__what_cant_be_read_is_not_taken_for_nothing__b2(checkout: Checkout, cli: Cli) -> None:
    many = b"---\n".join(configs(20).values())
    publish(checkout, cli, {"all.yaml": many}).ok()
    checkout.origin.commit("manifests", {"dist/all.yaml": b"<<<<<<< HEAD\n" + many}, "A conflict")
    refused(checkout, cli, {"all.yaml": config_map("c00")}, "unknown-removal")
    publish(checkout, cli, {"all.yaml": config_map("c00")}, "--allow", "unknown-removal,removal-budget").ok()


def test_baseline__documents_beside_a_patch_are_counted__b2(checkout: Checkout, cli: Cli) -> None:
    patch = b"kind: Deployment\nmetadata:\n  labels: {a: b}\n"
    app = b"---\n".join([NAMESPACE, CLAIM, config_map("a"), patch])
    publish(checkout, cli, {"kustomization.yaml": listing("app.yaml"), "app.yaml": app}).ok()
    less = b"---\n".join([config_map("a"), patch])
    refused(checkout, cli, {"kustomization.yaml": listing("app.yaml"), "app.yaml": less}, "precious-removal")


@pytest.mark.parametrize("kept", [0, 1])
def test_baseline__what_a_kustomization_file_no_longer_lists_is_gone__b9(
    checkout: Checkout, cli: Cli, kept: int
) -> None:
    files = configs(8) | {"namespace.yaml": NAMESPACE}
    publish(checkout, cli, files).ok()
    hidden = {"kustomization.yaml": listing(*list(files)[:kept])}
    refused(checkout, cli, files | hidden, "removal-budget", "precious-removal:Namespace/shop")
    whole = {"kustomization.yaml": listing(*files)}
    publish(checkout, cli, files | whole).ok()  # the neighbour: it lists them all


def test_baseline__an_ignore_file_deletes_what_it_matches__s3(checkout: Checkout, cli: Cli) -> None:
    publish(checkout, cli, configs(6)).ok()
    refused(checkout, cli, configs(6) | {".sourceignore": b"*\n"}, "nothing-rendered")
    publish(checkout, cli, configs(6) | {".sourceignore": b"/*.txt\n"}).ok()


def test_baseline__local_configuration_is_not_applied__s4(checkout: Checkout, cli: Cli) -> None:
    publish(checkout, cli, configs(6)).ok()
    local = {name: content + LOCAL for name, content in list(configs(6).items())[:5]}
    refused(checkout, cli, configs(6) | local, "removal-budget")


def test_baseline__json_is_applied_by_argo_cd__b14(checkout: Checkout, cli: Cli) -> None:
    namespace = b'{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop"}}\n'
    publish(checkout, cli, {"a.yaml": config_map("a"), "ns.json": namespace}).ok()
    refused(checkout, cli, {"a.yaml": config_map("a")}, "precious-removal:Namespace/shop")


def test_baseline__a_default_namespace_is_no_removal__d12(checkout: Checkout, cli: Cli) -> None:
    claim = b"apiVersion: v1\nkind: PersistentVolumeClaim\nmetadata:\n  name: data\n"
    publish(checkout, cli, {"a.yaml": claim}).ok()
    publish(checkout, cli, {"a.yaml": claim + b"  namespace: default\n"}).ok()


def test_baseline__a_move_to_the_folder_of_another_cluster_is_a_removal__b3(checkout: Checkout, cli: Cli) -> None:
    run = (*RUN, "--working-directory", "envs/*", "--path", "clusters/{app}")
    many, few = b"---\n".join([NAMESPACE, *configs(9).values()]), config_map("c00")
    for name, content in {"prod": many, "staging": few}.items():
        checkout.write(f"envs/{name}/cdk8s.yaml", b"app: cp m.yaml $CDK8S_OUTDIR\n")
        checkout.write(f"envs/{name}/m.yaml", content)
    checkout.commit("Two environments")
    cli.run(*run, cwd=checkout.path).ok()
    checkout.write("envs/prod/m.yaml", few)
    checkout.write("envs/staging/m.yaml", many)
    checkout.commit("An inverted if")
    done = cli.run(*run, cwd=checkout.path).exits(4)
    assert "to allow: precious-removal:Namespace/shop" in done.text
    assert "9 of 10 resources in clusters/prod" in done.text
    cli.run(*run, "--same-cluster", cwd=checkout.path).ok()


def environment(name: str, files: Mapping[str, bytes]) -> dict[str, bytes]:
    return {f"{name}/{file}": content for file, content in files.items()}


def test_baseline__a_move_to_another_top_level_folder_is_a_removal__b11(checkout: Checkout, cli: Cli) -> None:
    files = configs(9) | {"namespace.yaml": NAMESPACE}
    publish(checkout, cli, environment("prod", files)).ok()
    moved = environment("staging", files)
    refused(checkout, cli, moved, "removal-budget", "precious-removal:Namespace/shop")
    done = publish(checkout, cli, moved, "--mode", "diff").ok()
    assert "- Namespace shop (moved to staging/namespace.yaml)" in done.stdout
    assert "+ Namespace shop (moved from prod/namespace.yaml)" in done.stdout
    assert "same-cluster: true" in publish(checkout, cli, moved).exits(4).text
    publish(checkout, cli, moved, "--same-cluster").ok()


def test_baseline__one_environment_of_two_that_share_identities_counts__b11(checkout: Checkout, cli: Cli) -> None:
    both = environment("dev", configs(1)) | environment("prod", configs(1) | {"ns.yaml": NAMESPACE})
    publish(checkout, cli, both | {"dev/ns.yaml": NAMESPACE + b"  labels: {a: b}\n"}).ok()
    changed = NAMESPACE + b"  labels: {a: c}\n"
    refused(
        checkout, cli, environment("dev", configs(1) | {"ns.yaml": changed}) | environment("prod", configs(1)),
        "precious-removal:Namespace/shop",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("before", "after"),
    [("", ""), ("prod", "prod"), ("prod/a", "prod/b"), ("prod/a", "prod"), ("", "prod")],
)
def test_baseline__a_move_within_a_top_level_folder_is_none__b11(
    checkout: Checkout, cli: Cli, before: str, after: str
) -> None:
    files = configs(9) | {"namespace.yaml": NAMESPACE}
    publish(checkout, cli, {f"{before}/0-{name}".lstrip("/"): content for name, content in files.items()}).ok()
    moved = {f"{after}/1-{name}".lstrip("/"): content for name, content in files.items()}
    assert "Published to" in publish(checkout, cli, moved).ok().stdout


@pytest.mark.parametrize("name", ["cloudbuild.yaml", ".drone.yml", "x.zip/a.yaml"])
def test_baseline__what_flux_ignores_by_default_is_a_warning__c12(checkout: Checkout, cli: Cli, name: str) -> None:
    done = publish(checkout, cli, {"a.yaml": config_map("a"), name: config_map("b")}).ok()
    assert f"warning not-applied: Flux does not apply {name}" in done.text
    assert "not-applied" not in publish(checkout, cli, {"a.yaml": config_map("a"), "b.yaml": config_map("b")}).ok().text


@pytest.mark.parametrize("content", [b'{"a":1}', b"[]", b"{", b"", b'{"kind": ""}'])
def test_baseline__json_that_argo_cd_fails_on_is_a_warning__n54(checkout: Checkout, cli: Cli, content: bytes) -> None:
    done = publish(checkout, cli, {"a.yaml": config_map("a"), "manifests/index.json": content}).ok()
    assert "warning not-a-resource: Argo CD fails on manifests/index.json" in done.text


@pytest.mark.parametrize(
    "files",
    [
        {"a.json": b'{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "x\\ud83d\\ude00"}}'},
        {"a.json": b'{"note": "+argocd:skip-file-rendering"}'},
        {"index.json": b"{}", "kustomization.yaml": b"resources: [a.yaml]\n"},
        {"index.txt": b"{}"},
    ],
)
def test_baseline__other_json_is_none__n54(checkout: Checkout, cli: Cli, files: dict[str, bytes]) -> None:
    assert "Argo CD fails" not in publish(checkout, cli, {"a.yaml": config_map("a"), **files}).ok().text


def settings(files: Mapping[str, bytes], more: str) -> dict[str, bytes]:
    """Return a kustomization file that lists all files and says more."""
    return {**files, "kustomization.yaml": listing(*files) + more.encode()}


DELETED = 'patches:\n- patch: "{apiVersion: v1, kind: Namespace, metadata: {name: shop}, $patch: delete}"\n'


@pytest.mark.parametrize(
    "more",
    [
        DELETED,
        "patches:\n- target: {kind: Namespace}\n  patch: '[{op: replace, path: /metadata/name, value: x}]'\n",
        "patches:\n- path: patch.yml\n",
        "namespace: other\n",
        "namePrefix: x-\n",
    ],
)
def test_baseline__a_setting_that_comes_may_take_away_what_is_listed__b9(
    checkout: Checkout, cli: Cli, more: str
) -> None:
    files = configs(8) | {"namespace.yaml": NAMESPACE}
    patch = b"$patch: delete\napiVersion: v1\nkind: Namespace\nmetadata:\n  name: shop\n"
    publish(checkout, cli, files).ok()
    refused(checkout, cli, settings(files, more) | {"patch.yml": patch}, "unknown-removal")
    publish(checkout, cli, settings(files, "commonLabels: {a: b}\n")).ok()
    refused(checkout, cli, settings(files, more) | {"patch.yml": patch}, "unknown-removal")


@pytest.mark.parametrize(
    ("first", "then"),
    [
        ("", "configMapGenerator:\n- name: conf\n  files: [app.conf]\n"),
        (
            "configMapGenerator:\n- name: conf\n  literals: [a=1]\n",
            "configMapGenerator:\n- name: conf\n  literals: [a=2]\n",
        ),
        ("", "patches:\n- path: patch.yml\n"),
        ("patches:\n- {path: patch.yml}\n", "patches:\n- {path: patch.yml, target: {kind: ConfigMap}}\n"),
        ("namespace: other\n", "namespace: other\npatches:\n- path: patch.yml\n"),
    ],
)
def test_baseline__a_setting_that_takes_nothing_away_is_published__b9(
    checkout: Checkout, cli: Cli, first: str, then: str
) -> None:
    files = configs(8)
    beside = {
        "app.conf": b"a=1\n",
        "patch.yml": b"apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: c00\ndata: {a: b}\n",
    }
    publish(checkout, cli, settings(files, first) | beside).ok()
    publish(checkout, cli, settings(files, then) | beside | {"app.conf": b"a=2\n"}).ok()
