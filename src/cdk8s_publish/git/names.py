"""Names and values that git, and the file systems it checks out to, give a meaning of their own."""

from __future__ import annotations

import re
from functools import lru_cache

NAME_MAX_BYTES = 255
"""What Linux file systems take as one name (NAME_MAX of limits.h)."""

_REF_FORBIDDEN = re.compile(r"[\x00-\x20\x7f~^:?*\[\\]|\.\.|@\{|//")
_SHORT_ATTRIBUTES = re.compile(r"gitatt~[1-4]|gi7d29~[1-9]|gi7d2~[1-9][0-9]")
_INVISIBLE = dict.fromkeys((*range(0x200C, 0x2010), *range(0x202A, 0x202F), *range(0x206A, 0x2070), 0xFEFF))


def config_value(text: str) -> str:
    """Return a value as it stands in a configuration file (git-config(1), "Syntax"), in quotes."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def is_ref_name(text: str) -> bool:
    """Whether git takes it for the name of a branch or tag; the rules are those of git-check-ref-format(1)."""
    if _REF_FORBIDDEN.search(text) or text in {"", "@", "HEAD"}:
        return False
    if text.startswith("-") or text.endswith("."):
        return False
    return not any(not part or part.startswith(".") or part.endswith(".lock") for part in text.split("/"))


@lru_cache(maxsize=1_024)
def plain_name(name: str) -> str:
    """Return the name that a file system may take another spelling of it for.

    The rules of git's core.protectHFS (invisible characters, upper case) and core.protectNTFS (stream, trailing
    dots and blanks).
    """
    visible = name if name.isascii() else name.translate(_INVISIBLE)
    return re.split(r"[:\\]", visible.casefold())[0].rstrip(" .")


def is_git_name(name: str) -> bool:
    """Whether a file system takes the name, or its short form, for `.git`; git checks such a name out nowhere."""
    return plain_name(name) in {".git", "git~1"}


def is_attributes_name(name: str) -> bool:
    """Whether a file system takes the name, or its short form, for `.gitattributes` (`is_ntfs_dotgitattributes`)."""
    plain = plain_name(name)
    return plain == ".gitattributes" or _SHORT_ATTRIBUTES.fullmatch(plain) is not None
