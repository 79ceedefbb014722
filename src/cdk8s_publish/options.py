"""One declared option: what it is called, what it means, and how its text becomes a value.

Inputs of a run and options of `flux` are declared with the same type, so that `--help`, the files of the interfaces and
the reference pages are made of one declaration.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

from cdk8s_publish.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence


class Option(NamedTuple):
    """One option. `default` is what an empty value means.

    `parse` turns text into a value, or raises ValueError whose message continues the sentence "<name>: <value> …".
    `shown` is how a refused value is quoted: a secret never, an address without its credential. `metavar` stands for
    the value in `--help`. `action_default` and `template_default` replace the default in `action.yml` and in the
    GitLab template.
    """

    name: str
    section: str
    description: str
    parse: Callable[[str], object]
    default: str = ""
    metavar: str = "text"
    choices: tuple[str, ...] = ()
    shown: Callable[[str], str] = repr
    is_secret: bool = False
    action_default: str | None = None
    template_default: str | None = None

    @property
    def field(self) -> str:
        """The attribute that holds the value."""
        return self.name.replace("-", "_")

    @property
    def is_flag(self) -> bool:
        """Whether the values are `true` and `false`."""
        return self.choices == FLAG_CHOICES


FLAG_CHOICES = ("true", "false")


def parse_options(
    options: Sequence[Option],
    raw: Mapping[str, str],
    *,
    what: str,
    hint: str,
    replaced: Mapping[str, str] = MappingProxyType({}),
) -> dict[str, object]:
    """Return the value of every option by its name; an empty text means the default.

    `what` is what an option is called in an error: "Input". `replaced` says what to write in place of options that are
    no more.

    Raises:
        InputError: names every option that can't be used, its value (never a secret's) and the allowed form.

    """
    known = [option.name for option in options]
    problems: dict[str, str] = {}
    for name in raw:
        if name not in known:
            problems[name] = replaced.get(name) or f"there is no such {what.lower()}{closest(name, known)}"
    values: dict[str, object] = {}
    for option in options:
        text = raw.get(option.name, "").strip() or option.default
        try:
            values[option.name] = option.parse(text)
        except ValueError as error:
            problems[option.name] = f"{option.shown(text)} {error}"
    _raise_for_problems(problems, what=what, hint=hint)
    return values


def _raise_for_problems(problems: Mapping[str, str], *, what: str, hint: str) -> None:
    """Raise one InputError that says what is wrong with each option, by its name."""
    sentences = [f"{what} `{name}`: {problem}." for name, problem in problems.items()]
    if len(sentences) == 1:
        raise InputError(sentences[0], hint=hint)
    if sentences:
        message = f"{len(problems)} {what.lower()}s can't be used: {', '.join(problems)}."
        raise InputError(message, evidence="\n".join(sentences), hint=hint)


def closest(name: str, known: Iterable[str]) -> str:
    """Return ` (did you mean …?)` with the known name that is most like this one; empty where none is."""
    import difflib  # noqa: PLC0415  # 5 ms that only a mistake pays

    matches = difflib.get_close_matches(name, tuple(known), n=1)
    return f" (did you mean `{matches[0]}`?)" if matches else ""


def one_of(*choices: str) -> Callable[[str], str]:
    """Return the parser of an option that takes one of a few words."""

    def parse(text: str) -> str:
        if text not in choices:
            raise ValueError(f"is not one of {', '.join(choices)}")
        return text

    return parse


def flag(text: str) -> bool:
    """Read a YAML 1.2 core boolean, as GitHub's own toolkit accepts it."""
    if text in {"true", "True", "TRUE"}:
        return True
    if text in {"false", "False", "FALSE"}:
        return False
    raise ValueError("is neither `true` nor `false`")


def plain_text(text: str) -> str:
    """Take any text that can be an argument of a program."""
    if "\0" in text:
        raise ValueError("contains a NUL byte")
    return text
