"""What is wrong with what somebody wrote: places and reasons.

Never a value or a file's content, since either may hold a secret. PyYAML comes with Prefect.
"""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import yaml
from pydantic import ValidationError


class Unreadable(ValueError):
    """A file that can't be read; names file and line."""


class Mistake(NamedTuple):
    """One value that a model does not take; `missing` tells that there is none."""

    place: tuple[str | int, ...]
    reason: str
    missing: bool


def mistakes(error: ValidationError) -> list[Mistake]:
    """Return all mistakes that a model found, in the order of its fields."""
    found = error.errors(include_url=False, include_context=False, include_input=False)
    return [
        Mistake(one["loc"], one["msg"].removeprefix("Value error, "), one["type"] == "missing")
        for one in found
    ]


def told(error: ValidationError) -> str:
    """Return all mistakes that a model found in one line."""
    return "; ".join(
        f"{'.'.join(map(str, place))}: {reason}" if place else reason
        for place, reason, _ in mistakes(error)
    )


def read_yaml(path: Path, parse: Callable[[str], Any] = yaml.safe_load) -> Any:  # noqa: ANN401
    """Return what a YAML file holds.

    Raises:
        Unreadable: It can't be opened, or is no YAML.
    """
    try:
        return parse(path.read_text("utf-8"))
    except OSError as error:
        raise Unreadable(f"{path} can't be read: {error.strerror}") from None
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        # The name that the parser tells is the file's own.
        problem = re.sub(r"\b(alias|anchor|handle|tag)\b.*", r"\1", error.problem or "no YAML")
        raise Unreadable(f"{path}, line {line}: {problem}") from None
    except (yaml.YAMLError, UnicodeDecodeError):
        raise Unreadable(f"{path} is not text in UTF-8") from None
