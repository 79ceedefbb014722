"""Go modules."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cdk8s_publish.render.managers import Ecosystem, Manager

if TYPE_CHECKING:
    from collections.abc import Mapping


def _variables(cache: str) -> Mapping[str, str]:
    return {
        "GOMODCACHE": f"{cache}/go",
        # A read-only module cache could not be removed; `go build` asks git for what to stamp, as another user in vain.
        "GOFLAGS": "-modcacherw -buildvcs=false",
    }


MANAGERS = (
    # What is vendored need not be downloaded; whether it agrees with go.mod is found out without a network.
    Manager("Go modules", "go", ("go.mod", "vendor/modules.txt"), "go list -mod=vendor -m"),
    Manager("Go modules", "go", ("go.mod",), "go mod download"),
)

GO = Ecosystem(
    name="go",
    languages=("go",),
    managers=MANAGERS,
    variables=_variables,
    version_commands=("go version",),
    manifests=("go.mod", "go.sum"),
    # Many a service written in Go has manifests that are rendered by something else.
    word="go",
)
