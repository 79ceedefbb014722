"""Names that Flux can't handle: one such file stops all of its branch, or all of its folder."""

from __future__ import annotations

import re

_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_DEVICE = re.compile(r"/(con|prn|aux|nul|com[1-9]|lpt[1-9]|conin\$|conout\$)(?=[ .:/]|$)")
_GIT = re.compile(r"/(\.git|git~1)[ .]*(?=[:/]|$)")
_NOT_YAML = re.compile(r"[\x7f-\x9f\ud800-\udfff\ufffe\uffff]")


def clone_fault(path: str) -> str:
    """Return why source-controller can't check out a file, or nothing (go-git 5.19, `worktreeFilesystem.validPath`)."""
    if _CONTROL.search(path):
        return "its name holds a control character"
    lower = f"/{path}".lower().replace("\\", "/")
    if found := _DEVICE.search(lower):
        return f"`{found[1]}` is the name of a device on Windows"
    if found := _GIT.search(lower):
        return f"`{found[1]}` is a name of git's own"
    return ""


def unpack_fault(path: str) -> str:
    """Return why kustomize-controller can't unpack an artifact that holds a file, or nothing (fluxcd/pkg/tar 1.2)."""
    if "\\" in path:
        return "its name holds a backslash"
    return "the name of its folder ends in two dots" if "../" in path else ""


def listing_fault(path: str) -> str:
    """Return why kustomize can't find a file that is listed in a kustomization file, or nothing: that file is YAML."""
    return "its name holds a character that YAML does not have" if _NOT_YAML.search(path) else ""
