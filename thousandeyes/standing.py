"""How one test compares with an earlier run: as a value, and as columns of a table."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from types import MappingProxyType
from typing import Any, Final

from pydantic import TypeAdapter, ValidationError

from thousandeyes import marks
from thousandeyes.outcomes import MEANING, Ending, VerdictName

Recent = Mapping[str, tuple[float, ...]]
"""What a test measured lately, by metric, the oldest first."""


class Change(StrEnum):
    """What became of a test since the run that this one is compared with."""

    NEW_FAILURE = "new_failure"  # it was well and fails
    STILL_FAILING = "still_failing"  # it failed and fails
    RECOVERED = "recovered"  # it failed and is well
    NEW = "new"  # nothing is known of it from before, or nothing of what laptops measured
    GONE = "gone"  # it is not part of this run, which only carries on its history
    UNCHANGED = "unchanged"  # it was well and still is, or nothing is known of it this time


@dataclass(frozen=True, slots=True)
class Standing:
    """One test compared with an earlier run, and all that the next run needs to continue from here.

    `change` is None if there was no run to compare with. `failing_runs` counts the runs in a row in
    which it failed, including this one; `failing_since` is when the first of them sent it, in UTC.
    `moved` says in words what became worse: slower or lossier, or far fewer agents answered than
    usual, although it passed; or on how many laptops a failing test newly fails. `compared_with` is
    the ID of the flow run to compare with. `history` holds a mark for each of the last runs, this
    one's at the right: see `thousandeyes.marks`. `last_measured` is passed or failed, whichever its
    laptops last measured, in this run or an earlier one; None: never. `last_heard` is likewise the
    last ending in which the API or a laptop said something about the test.
    """

    change: Change | None = None
    failing_since: datetime | None = None
    failing_runs: int = 0
    moved: str = ""
    history: str = ""
    recent: Recent = field(default_factory=dict)
    compared_with: str | None = None
    last_measured: VerdictName | None = None
    last_heard: Ending | None = None

    def row(self) -> dict[str, str | int | None]:
        """Return this as columns of a table: JSON, always the same keys."""
        since = self.failing_since
        return {
            "change": self.change and self.change.value,
            "failing_since": since.isoformat(timespec="milliseconds") if since else None,
            "failing_runs": self.failing_runs,
            "moved": self.moved,
            "history": self.history,
            "recent": "; ".join(
                f"{metric} {' '.join(f'{value:g}' for value in values)}"
                for metric, values in self.recent.items()
            ),
            "compared_with": self.compared_with,
            "last_measured": self.last_measured and self.last_measured.value,
            "last_heard": self.last_heard and self.last_heard.value,
        }


NO_STANDING: Final = MappingProxyType(dict.fromkeys(Standing().row()))
"""The columns of a test that was not compared, such as every test of version 0.1.0."""

_STANDING: Final = TypeAdapter(Standing)


def from_row(values: Mapping[str, Any]) -> Standing | None:
    """Return the standing that a row of a table holds; None if it holds none."""
    if not isinstance(values.get("failing_runs"), int):
        return None
    told = dict(values)
    if told.get("change") not in list(Change):
        told["change"] = None  # a word that only a later version knows
    if told.get("last_heard") not in MEANING:
        told["last_heard"] = None
    try:
        return _STANDING.validate_python(
            told
            | {
                "recent": _recent(values.get("recent")),
                "history": marks.read(values.get("history")),
            }
        )
    except ValidationError:
        return None


def _recent(text: object) -> dict[str, list[str]]:
    parts = (part.split() for part in str(text or "").split(";"))
    return {metric: values for metric, *values in filter(None, parts) if values}
