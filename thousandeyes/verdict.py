"""What the laptops' measurements say about one test, as a value and as columns of a table."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final, NamedTuple

from pydantic import TypeAdapter, ValidationError

from thousandeyes.laptop import Laptop
from thousandeyes.outcomes import VerdictName
from thousandeyes.rounds import HttpRound, Measured, NetworkRound
from thousandeyes.text import fitted
from thousandeyes.thresholds import Reason

WORST_TOLD: Final = 3
"""Failing agents that a verdict's sentence lists one by one; of more it counts the reasons."""
_LONGEST_NAMES: Final = 400
"""Characters of their names in a text for people."""
_IS_ID: Final = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
"""What an agent goes by whose name is not known or not to be shown."""


class Spread(NamedTuple):
    """One metric over the agents that measured it, in its own unit; None when none did."""

    worst: float | None = None
    median: float | None = None


@dataclass(frozen=True)
class FailingAgent:
    """An agent whose measurement was not good enough, and why, the worst reason first."""

    agent_id: str
    name: str
    """Its ID where the name is not known."""
    reasons: tuple[Reason, ...]
    round_id: int = 0
    """The newest round in which it failed, in epoch seconds."""


class Sighting(NamedTuple):
    """One agent that measured something for a test, however it went."""

    agent_id: str
    failed: bool
    laptop: Laptop
    """All that it reported of itself with these rows."""


@dataclass(frozen=True)
class Verdict:
    """What one test's results come to, and what that rests on."""

    name: VerdictName
    reason: str
    """Why, in one line for people."""
    agents_expected: int | None
    """None if unknown; more than these may have answered."""
    agents_answered: int
    agents_passed: int
    agents_icmp_blocked: int
    """Agents whose network rows measured nothing, such as where ICMP is blocked."""
    agents_failed: str | None
    """The names of those that failed, the worst first, up to 200; None if none did."""
    loss: Spread
    """Percent."""
    latency_ms: Spread
    jitter_ms: Spread
    response_time_ms: Spread
    total_time_ms: Spread
    http_status_worst: int | None
    error_types: tuple[str, ...]
    """HTTP error types other than none, in alphabetical order."""
    provisional: bool = False
    """Whether later answers may change it. Rows of version 0.1.0 don't say."""
    unread: bool = False
    """Whether what was measured is unknown because the results could not be read."""
    thresholds: str | None = None
    """What the measurements had to keep to, in words; None if only to what always fails."""
    failing: tuple[FailingAgent, ...] = field(default=(), compare=False)
    """The worst first. Not in the row: a verdict that was read back has none."""
    sightings: tuple[Sighting, ...] = field(default=(), compare=False, repr=False)
    """The agents that measured anything, each once, by ID. Not in the row either."""

    @property
    def failed(self) -> int:
        """How many agents failed."""
        return self.agents_answered - self.agents_passed

    @property
    def in_short(self) -> str:
        """How many agents failed, or that all passed, such as `2 of 21 failed`."""
        if not self.agents_answered:
            return "no results"
        if self.failed:
            return f"{self.failed} of {self.agents_answered} failed"
        return f"{self.agents_passed} of {self.agents_answered} passed"

    @property
    def known_to_have_failed(self) -> list[str]:
        """The names of the agents that failed, the worst first: all, or the first of very many."""
        names = self.agents_failed.split(", ") if self.agents_failed else []
        # Earlier versions cut the text off in the middle of a name.
        is_cut = names and names[-1].endswith("…") and len(names) < self.failed
        return names[:-1] if is_cut else names

    @property
    def tells_all_that_failed(self) -> bool:
        """Whether it failed and it is known for which agents."""
        return self.name is VerdictName.FAILED and len(self.known_to_have_failed) == self.failed

    def failed_newly(self, before: "Verdict | None") -> list[str]:
        """Return the agents that failed now but not before.

        Empty if it did not fail both times, if not all agents that failed are known, or if some may
        be the same, known by name at one time and by ID at the other.
        """
        if before is None or not (self.tells_all_that_failed and before.tells_all_that_failed):
            return []
        then, now = set(before.known_to_have_failed), self.known_to_have_failed
        newly, no_longer = [name for name in now if name not in then], then.difference(now)
        forms = {_IS_ID.fullmatch(name) is None for name in (*newly, *no_longer)}
        return newly if len(forms) == 1 or not no_longer else []

    @property
    def all_that_failed(self) -> str:
        """Who failed, if the reason does not name each: of many the first, and how many more."""
        if self.failed <= WORST_TOLD:
            return ""
        return fitted(self.known_to_have_failed, _LONGEST_NAMES, self.failed)

    @property
    def sentence(self) -> str:
        """The verdict and its reason."""
        return f"{self.name}: {self.reason}"

    def row(self) -> dict[str, str | int | float | None]:
        """Return the verdict as columns of a table: JSON, always the same keys, None if unknown."""
        return {
            "verdict": self.name.value,
            "verdict_detail": self.sentence,
            "provisional": self.provisional,
            "unread": self.unread,
            "agents_expected": self.agents_expected,
            "agents_answered": self.agents_answered,
            "agents_passed": self.agents_passed,
            "agents_icmp_blocked": self.agents_icmp_blocked,
            "agents_failed": self.agents_failed,
            **{
                f"{metric}_{part}": value
                for metric in METRICS
                for part, value in getattr(self, metric)._asdict().items()
            },
            "http_status_worst": self.http_status_worst,
            "error_types": ", ".join(self.error_types) or None,
            "thresholds": self.thresholds,
        }


METRICS: Final[Mapping[str, tuple[type[Measured], str]]] = MappingProxyType(
    {
        "loss": (NetworkRound, "loss"),
        "latency_ms": (NetworkRound, "avg_latency"),
        "jitter_ms": (NetworkRound, "jitter"),
        "response_time_ms": (HttpRound, "response_time"),
        "total_time_ms": (HttpRound, "total_time"),
    }
)
"""Where each metric of a verdict comes from. For all of them, more is worse."""

_VERDICT: Final = TypeAdapter(Verdict)


def from_row(values: Mapping[str, Any]) -> Verdict | None:
    """Return the verdict that a row of a table holds; None if it holds no such verdict."""
    spreads = {
        metric: [values.get(f"{metric}_{part}") for part in Spread._fields] for metric in METRICS
    }
    name, detail = values.get("verdict"), values.get("verdict_detail")
    told = {
        **values,
        **spreads,
        "name": name,
        "reason": detail.removeprefix(f"{name}: ") if isinstance(detail, str) else detail,
        "unread": bool(values.get("unread")),  # earlier versions don't tell
        "error_types": [kind for kind in str(values.get("error_types") or "").split(", ") if kind],
    }
    try:
        return _VERDICT.validate_python(told)
    except ValidationError:
        return None
