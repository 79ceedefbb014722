"""What a walk through a checkout finds: the same for the copy of it and for its fingerprint.

Paths are strings here: a path object for each of 20,000 files costs more than the file.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

NODE_MODULES = "node_modules"


def entries(folder: str) -> Iterator[os.DirEntry[str]]:
    """Yield what is in a folder; nothing where it can't be read."""
    try:
        with os.scandir(folder) as found:
            yield from found
    except PermissionError:
        return


def is_virtual_environment(entry: os.DirEntry[str]) -> bool:
    """Whether a folder is one of Python (PEP 405)."""
    return os.path.exists(f"{entry.path}/pyvenv.cfg")


def is_dependency_folder(entry: os.DirEntry[str]) -> bool:
    """Whether a folder holds what a package manager has installed."""
    return entry.name == NODE_MODULES or is_virtual_environment(entry)


def leads_out(root: str, link: str, to: str) -> bool:
    """Whether a link at `link`, to `to`, leads out of a copy of `root`; an absolute one leads to the original."""
    if os.path.isabs(to):
        return True
    absolute = os.path.normpath(os.path.join(os.path.dirname(link), to))
    return not f"{os.path.realpath(os.path.dirname(absolute))}/".startswith(f"{root}/")
