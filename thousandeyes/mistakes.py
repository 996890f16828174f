"""What is wrong with what somebody wrote: places and reasons.

Never a value or a file's content, because either may hold a secret. PyYAML comes with Prefect.
"""

import re
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any, Final, NamedTuple

import yaml
from pydantic import ValidationError
from pydantic_core import ErrorDetails

from thousandeyes.files import LARGEST_YAML, NotRead, read_own
from thousandeyes.text import cut, listed

Place = tuple[str | int, ...]

_LONGEST_PLACE: Final = 200
_PLAIN_KEY: Final = re.compile(r"(?=.{1,30}\Z)[A-Za-z]+([_ -][A-Za-z]+)*")
"""What a misspelt key looks like, and most secrets do not."""


_DECIMAL: Final = re.compile(r"-?(0|[1-9][0-9]*)")


class Unreadable(ValueError):
    """A file that can't be read; names file and line."""


class NotOpened(Unreadable):
    """A file of which nothing was read."""


class Mistake(NamedTuple):
    """One value that a model does not take; `missing` says that there is none."""

    place: Place
    reason: str
    missing: bool


def mistakes(error: ValidationError, keys: Collection[str] | None = None) -> list[Mistake]:
    """Return all mistakes that a model found, in the order of its fields."""
    return [
        Mistake(_place(one, keys), _reason(one), one["type"] == "missing")
        for one in error.errors(include_url=False, include_input=False)
    ]


def _place(one: ErrorDetails, keys: Collection[str] | None) -> Place:
    *before, last = one["loc"] or ("",)
    if keys is not None and one["type"] == "extra_forbidden" and last not in keys:
        return (*before, last if _PLAIN_KEY.fullmatch(str(last)) else "?")
    return one["loc"]


def _reason(one: ErrorDetails) -> str:
    if one["type"] == "union_tag_invalid":  # pydantic quotes what it was given
        return f"{one['ctx']['discriminator']} must be one of {one['ctx']['expected_tags']}"
    if one["type"] == "union_tag_not_found":
        return f"{one['ctx']['discriminator']} is missing"
    return one["msg"].removeprefix("Value error, ")


def dotted(place: Place) -> str:
    """Return a place as people write it, such as `deployments.0.name`."""
    return ".".join(map(str, place))


def told(
    error: ValidationError,
    keys: Collection[str] | None = None,
    written: Callable[[Place], str] = dotted,
) -> str:
    """Return in one line the mistakes that a model found; the first of very many.

    Args:
        error: What the model found.
        keys: Unknown keys that may be named whatever they look like, for a file that may be the
            wrong file; others are named only if they are plain words. None: all.
        written: Returns how a place is written.
    """
    lines = [
        f"{cut(written(place), _LONGEST_PLACE)}: {reason}" if place else reason
        for place, reason, _ in mistakes(error, keys)
    ]
    return listed(lines, separator="; ")


class _Loader(yaml.SafeLoader):
    """Reads YAML, and refuses a key that appears twice: PyYAML would drop the first value."""

    def compose_mapping_node(self, anchor: Any) -> yaml.MappingNode:  # noqa: ANN401
        node = super().compose_mapping_node(anchor)
        first: dict[str, int] = {}
        for key in (key for key, _ in node.value if isinstance(key, yaml.ScalarNode)):
            line = key.start_mark.line + 1
            if key.value in first:
                name = f": {key.value}" if _PLAIN_KEY.fullmatch(key.value) else ""
                raise yaml.composer.ComposerError(
                    problem=f"a key appears twice, first on line {first[key.value]}{name}",
                    problem_mark=key.start_mark,
                )
            first[key.value] = line
        return node


class _WithoutAliases(_Loader):
    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:  # noqa: ANN401
        if self.check_event(yaml.AliasEvent):
            raise yaml.composer.ComposerError(
                problem="aliases, such as *name, can't be used here: write out what they stand for",
                problem_mark=self.peek_event().start_mark,  # type: ignore[no-untyped-call]
            )
        return super().compose_node(parent, index)


def _as_written(_: yaml.SafeLoader, node: yaml.ScalarNode) -> int | str:
    # YAML 1.1 takes 0765 for 501: an ID would become another one.
    return int(node.value) if _DECIMAL.fullmatch(node.value) else str(node.value)


_WithoutAliases.add_constructor("tag:yaml.org,2002:int", _as_written)


def parsed(text: str) -> Any:  # noqa: ANN401
    """Return what a YAML text holds.

    Raises:
        MarkedYAMLError: It repeats a key, or is not YAML.
    """
    return _Loader(text).get_single_data()


def composed(text: str) -> yaml.Node | None:
    """Return a YAML text as nodes, whose values are as they were written.

    Raises:
        MarkedYAMLError: It repeats a key, or is not YAML.
    """
    return _Loader(text).get_single_node()


def without_aliases(text: str) -> Any:  # noqa: ANN401
    """Return what a YAML text holds, unless it refers to parts of itself.

    With such references a short text may expand to more than fits in memory. Numbers that are not
    written in the usual way, such as 0765, stay text.

    Raises:
        MarkedYAMLError: It holds references, repeats a key, or is not YAML.
    """
    return _WithoutAliases(text).get_single_data()


def read_yaml(
    path: Path,
    parse: Callable[[str], Any] = parsed,
    read: Callable[[Path, int], bytes] = read_own,
) -> Any:  # noqa: ANN401
    """Return what a YAML file holds.

    Args:
        path: The file.
        parse: Parses its text.
        read: Reads up to that many bytes of it.

    Raises:
        NotOpened: It can't be opened, or is too large.
        Unreadable: It repeats a key, or is not YAML.
    """
    try:
        return parse(read(path, LARGEST_YAML).decode())
    except NotRead as error:
        raise NotOpened(f"{path} can't be read: {error}") from None
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        place = f"line {mark.line + 1}, column {mark.column + 1}" if mark else "line 1"
        # What follows these words comes from the file: a name, a letter.
        problem = error.problem or "no YAML"
        problem = re.sub(r"\b(alias|anchor|handle|tag)\b.*|, but found .*", r"\1", problem)
        problem = re.sub(r"\bcharacter .*?(?= that |$)", "character", problem)
        raise Unreadable(f"{path}, {place}: {problem}") from None
    except (yaml.YAMLError, UnicodeDecodeError):
        raise Unreadable(f"{path} is not text in UTF-8") from None
    except RecursionError:
        raise Unreadable(f"{path} is nested too deeply") from None
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError):
        # PyYAML reads `!!int x` and a 31st of February without a thought, and quotes them.
        raise Unreadable(f"{path} holds a value that is not what its form or tag says") from None
