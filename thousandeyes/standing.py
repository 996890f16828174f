"""How one test stands against an earlier run: as a value, and as columns of a table."""

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
    GONE = "gone"  # it is no part of this run; only what is carried on from run to run says so
    UNCHANGED = "unchanged"  # it was well and is; or nothing was heard of it this time


@dataclass(frozen=True, slots=True)
class Standing:
    """One test in the light of an earlier run, with all that the next run needs to go on counting.

    `change` is None where there was no run to compare with. `failing_since` is when the first of
    the runs in a row sent it in which it failed, in UTC; `failing_runs` is how many of them there
    are, this one included. `moved` says in words what became worse: slower or lossier, or far fewer
    agents answered than usual, although it passed; or for how many other laptops it still fails.
    `compared_with` is the ID of the flow run that
    this is measured by. `history` holds a mark for each of the last runs, this one's at the right:
    see `thousandeyes.marks`. `last_measured` is passed or failed, as its laptops last measured, be
    it in this run or in one before; None: never. `last_heard` is likewise its newest ending by
    which the API or laptops told something of the test.
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
"""The columns of a test that no run has compared, such as all of version 0.1.0."""

_STANDING: Final = TypeAdapter(Standing)


def from_row(values: Mapping[str, Any]) -> Standing | None:
    """Return the standing that a row of a table holds, None where it holds none."""
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
    return {metric: values for metric, *values in filter(None, parts)}
