"""What a round must keep to, and why a round does not. Pure."""

import math
from collections.abc import Iterable, Iterator, Sequence
from types import MappingProxyType
from typing import Final, NamedTuple

from pydantic import BaseModel, ConfigDict, Field

from thousandeyes.rounds import HttpRound, Measured

_ALL_LOST: Final = 100
_FIRST_ERROR_STATUS: Final = 400
_CERTAIN: Final = math.inf
_VALUE: Final = "#"


class Thresholds(BaseModel):
    """What makes a measurement good enough.

    An HTTP error, a status of 400 and above, a loss of 100 % and a network error in place of any
    measurement fail an agent whatever is set here.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    max_loss_percent: float | None = Field(
        default=None, ge=0, le=100, description="An agent fails with more packet loss, in percent."
    )
    max_latency_ms: float | None = Field(
        default=None, ge=0, description="An agent fails with more average latency, in milliseconds."
    )
    max_jitter_ms: float | None = Field(
        default=None, ge=0, description="An agent fails with more jitter, in milliseconds."
    )
    max_response_time_ms: float | None = Field(
        default=None,
        ge=0,
        description="An agent fails when the first byte takes longer, in milliseconds.",
    )
    max_total_time_ms: float | None = Field(
        default=None,
        ge=0,
        description="An agent fails when the whole response takes longer, in milliseconds.",
    )
    min_score: float | None = Field(
        default=None,
        ge=0,
        le=100,
        description="An agent fails with a lower application score, from 0 to 100.",
    )
    min_agents: int = Field(
        default=1,
        ge=1,
        description="With fewer agents that answered, a test is timed_out and not judged.",
    )
    min_agents_passing_percent: float = Field(
        default=100,
        gt=0,
        le=100,
        description=(
            "A test fails when fewer of the agents that answered passed, in percent; those that "
            "never answered don't count. 100 unless set: a single bad agent fails the test."
        ),
    )

    @property
    def words(self) -> str:
        """Those that are set, such as `loss at most 5 %`; empty if none is."""
        told = {name: getattr(self, name) for name in _WORDS}
        fields = type(self).model_fields
        return ", ".join(
            _WORDS[name].replace(_VALUE, _number(value))
            for name, value in told.items()
            if value != fields[name].default
        )


_WORDS: Final = MappingProxyType(
    {
        "max_loss_percent": f"loss at most {_VALUE} %",
        "max_latency_ms": f"latency at most {_VALUE} ms",
        "max_jitter_ms": f"jitter at most {_VALUE} ms",
        "max_response_time_ms": f"response time at most {_VALUE} ms",
        "max_total_time_ms": f"total time at most {_VALUE} ms",
        "min_score": f"score at least {_VALUE}",
        "min_agents": f"at least {_VALUE} agents answering",
        "min_agents_passing_percent": f"at least {_VALUE} % of the agents passing",
    }
)


class Reason(NamedTuple):
    """Why a round fails; heavier is worse. Reasons of one kind differ only in the other fields."""

    weight: float
    kind: str
    """Such as `# % loss (at most 5)`, with the measured value where the mark is."""
    value: float | None = None
    details: str = ""

    @property
    def text(self) -> str:
        """The reason, for people."""
        text = _filled(self.kind, [self.value])
        return f"{text} ({self.details})" if self.details else text


def in_one(reasons: Sequence[Reason]) -> str:
    """Return reasons of one kind as one, such as `6 to 8 % loss (at most 5)`."""
    if len({reason.text for reason in reasons}) == 1:
        return reasons[0].text
    return _filled(reasons[0].kind, [reason.value for reason in reasons])


def _filled(kind: str, values: Iterable[float | None]) -> str:
    known = [value for value in values if value is not None]
    ends = dict.fromkeys(_number(end(known)) for end in (min, max)) if known else ()
    return kind.replace(_VALUE, " to ".join(ends), 1) if ends else kind


def is_measured(row: Measured) -> bool:
    """Tell whether a row's metrics mean anything: where ICMP is blocked, there was no ping.

    A network row with only an error, which does not say whether ICMP is blocked, may be due to
    that.
    """
    if row.is_empty:
        return False
    if isinstance(row, HttpRound):
        return True
    blocked = row.is_icmp_blocked
    return not blocked and not (blocked is None and row.points is None and row.only_error)


def reasons(row: Measured, thresholds: Thresholds) -> Iterator[Reason]:
    """Yield why a round fails; nothing for a good one. A metric that a row lacks is not judged."""
    if not is_measured(row):
        return
    if isinstance(row, HttpRound):
        yield from _errors(row)
        yield from _above("ms response time", row.response_time, thresholds.max_response_time_ms)
        yield from _above("ms total time", row.total_time, thresholds.max_total_time_ms)
        yield from _below("HTTP score", row.points, thresholds.min_score)
    else:
        if row.is_icmp_blocked is False and row.only_error:
            yield Reason(_CERTAIN, "network error", details=row.only_error)
        if row.loss is not None and row.loss >= _ALL_LOST:
            yield Reason(_CERTAIN, "100 % loss")
        else:
            yield from _above("% loss", row.loss, thresholds.max_loss_percent)
        yield from _above("ms latency", row.avg_latency, thresholds.max_latency_ms)
        yield from _above("ms jitter", row.jitter, thresholds.max_jitter_ms)
        yield from _below("network score", row.points, thresholds.min_score)


def _errors(row: HttpRound) -> Iterator[Reason]:
    if error := row.error or ("HTTP" if row.only_error else None):
        yield Reason(_CERTAIN, f"{error} error", details=row.details)
    if row.response_code is not None and row.response_code >= _FIRST_ERROR_STATUS:
        yield Reason(_CERTAIN, f"HTTP status {row.response_code}")


def _above(name: str, value: float | None, most: float | None) -> Iterator[Reason]:
    if value is not None and most is not None and value > most:
        weight = value / most if most else _CERTAIN
        yield Reason(weight, f"{_VALUE} {name} (at most {_number(most)})", value)


def _below(name: str, value: float | None, least: float | None) -> Iterator[Reason]:
    if value is not None and least is not None and value < least:
        weight = least / value if value else _CERTAIN
        yield Reason(weight, f"{name} {_VALUE} (at least {_number(least)})", value)


def _number(value: float) -> str:
    return f"{value:.10g}"
