"""What bootstrap reports about each thing that it manages."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path


class BootstrapError(Exception):
    """A server or a file is not as it must be; the message says what to do."""


def check_unique(path: Path, names: Iterable[str]) -> None:
    """Make sure that nothing is defined twice in a file.

    Raises:
        BootstrapError: Something is defined twice.
    """
    if twice := [name for name, count in Counter(names).items() if count > 1]:
        raise BootstrapError(f"{path.name}: defined more than once: {', '.join(twice)}")


class Found(StrEnum):
    """How a thing was found, which decides what was done about it."""

    AS_IT_SHOULD_BE = "found"
    MISSING = "made"
    DIFFERENT = "changed"
    KEPT = "left"
    NOT_WANTED = "off"


@dataclass(frozen=True)
class Step:
    """One thing on the server, such as `work pool thousandeyes`, and what differs, if it does."""

    found: Found
    what: str
    detail: str = ""

    def told(self, *, dry_run: bool) -> str:
        """Return the line that reports it."""
        done = self.found in (Found.MISSING, Found.DIFFERENT)
        verb = f"would be {self.found}" if dry_run and done else str(self.found)
        return f"{verb:17}{self.what}{f' ({self.detail})' if self.detail else ''}"


def left(what: str, file: str | None, differing: Sequence[str], *more: str) -> Step:
    """Return the step for what people set in the UI differently from a file or our default."""
    ours, value = (file, "the file's value") if file else ("this project's default", "it")
    unlike = f"differs from {ours}: {', '.join(differing)}; --overwrite restores {value}"
    return Step(Found.KEPT, what, "; ".join([unlike, *more] if differing else more))
