"""Text that others wrote, made harmless for whoever shows it: a terminal, a diff, a page of Markdown."""

from __future__ import annotations

import re

_COLOUR = r"\x1b\[[0-9;:]*m"
_ESCAPE = r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[ -/]*[0-~])"
_CONTROL = r"[\x00-\x08\x0a-\x1f\x7f-\x9f\u2028\u2029]"
_SPECIAL = r"[&<>|\\`*_{}\[\]#~@$^\"]|:(?=\S)|(?<=www)\.|^[-+=]|^\d(?=\d*[.)])"
"""What means something to Markdown, HTML or GitHub: emphasis, tables, tags, links, issues, formulas, `:emoji:`; rules
and lists at the beginning."""


def as_on_terminal(line: str) -> str:
    r"""Return what a terminal would show of a line, so that it can't move the cursor or speak to a CI product.

    Colours stay. Of a line that was drawn over (`10 %\r20 %`) the last state stays. Other escape sequences and
    control characters, which GitLab's section markers are made of, go.
    """
    line = line.rstrip("\r\n").rpartition("\r")[2]
    if line.isprintable():
        return line
    parts = re.split(_COLOUR, line)
    colours = [*re.findall(_COLOUR, line), ""]
    return "".join(
        re.sub(_CONTROL, "", re.sub(_ESCAPE, "", part)) + colour for part, colour in zip(parts, colours, strict=True)
    )


def on_one_line(text: str) -> str:
    """Return a text with every control character spelled out, so that it can't end its line; colours and tabs stay."""
    if text.isprintable():
        return text
    return re.sub(f"({_COLOUR})|{_CONTROL}", lambda match: match[1] or _name(match[0]), text)


def spelled_out(line: str, kept: str = "") -> str:
    """Return a line in which what a terminal would obey, or hide, is an escape sequence, but for the `kept` ones."""
    if line.isprintable():
        return line
    return "".join(char if char.isprintable() or char in kept else _name(char) for char in line)


def spelled_out_text(text: str) -> str:
    """Return a text of lines with each of them spelled out; tabs stay."""
    lines = text.split("\n")
    if all(map(str.isprintable, lines)):  # nearly always, and there may be many
        return text
    return "\n".join([spelled_out(line, "\t") for line in lines])


def _name(char: str) -> str:
    return char.encode("unicode_escape").decode()


def markdown(text: str) -> str:
    """Return one line that Markdown and HTML show as `text` is.

    An `@` is kept from being a mention by an empty comment (GitHub Flavored Markdown Spec, "HTML blocks").
    """
    plain = spelled_out(" ".join(text.split()))
    return re.sub(_SPECIAL, _reference, plain).replace("&#64;", "&#64;<!-- -->")


def _reference(match: re.Match[str]) -> str:
    return f"&#{ord(match[0])};"
