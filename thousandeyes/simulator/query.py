"""What a query asks for: a time frame in its parameters, a search in its body."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Generic, Literal, TypeVar
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic.alias_generators import to_camel
from starlette.datastructures import QueryParams

from .inventory import Agent
from .replies import InvalidFieldsError, iso_utc

SortKey = TypeVar("SortKey", bound=str)
Metric = TypeVar("Metric", bound=str)

_WINDOW = re.compile(r"([0-9]+)([smhdw]?)")
_UNIT_SECONDS = {"": 1, "s": 1, "m": 60, "h": 3_600, "d": 86_400, "w": 604_800}

_FIELDS = {
    "round-id": ("roundId",),
    "loss": ("loss",),
    "latency": ("avgLatency",),
    "jitter": ("jitter",),
    "cpu": ("systemMetrics", "cpuUtilization", "mean"),
    "memory": ("systemMetrics", "physicalMemoryUsedBytes", "mean"),
    "signal-quality": ("networkProfile", "wirelessProfile", "quality"),
    "application-score": ("score", "applicationScore"),
    "response-time": ("responseTime",),
    "dns-time": ("dnsTime",),
    "connect-time": ("connectTime",),
    "ssl-time": ("sslTime",),
    "wait-time": ("waitTime",),
    "response-code": ("responseCode",),
    "wire-size": ("wireSize",),
    "throughput": ("throughput",),
}


@dataclass(frozen=True)
class TimeFrame:
    """Which rounds are asked for, by their start, in epoch seconds; both ends are included."""

    start: float
    end: float
    is_told: bool
    """Whether the query gave it; otherwise it is the last two hours."""

    def as_fields(self) -> dict[str, str]:
        """Return the fields of a frame that a reply repeats, if the query gave one."""
        return (
            {"startDate": iso_utc(self.start), "endDate": iso_utc(self.end)} if self.is_told else {}
        )


def time_frame(query: QueryParams, now: float) -> TimeFrame:
    """Return the frame that a query asks for; raise `InvalidFieldsError`.

    `window` and the dates exclude each other, and `endDate` is for use with `startDate` (OpenAPI
    7.0.85). The documents of the API's earlier version say that mixing them is answered with 400.
    """
    window, start, end = (query.get(name) for name in ("window", "startDate", "endDate"))
    if window is not None:
        if start is not None or end is not None:
            raise InvalidFieldsError.of("window", "can't be used with startDate or endDate")
        return TimeFrame(max(0.0, now - _window_seconds(window)), now, is_told=True)
    if start is None:
        if end is not None:
            raise InvalidFieldsError.of("endDate", "is for use with startDate")
        return TimeFrame(now - 2 * 3_600, now, is_told=False)
    ends_at = now if end is None else _timestamp("endDate", end)
    return TimeFrame(_timestamp("startDate", start), ends_at, is_told=True)


def expansions(query: QueryParams, known: frozenset[str]) -> frozenset[str]:
    """Return what `expand` asks for; it may be repeated, and may hold commas."""
    told = frozenset(filter(None, ",".join(query.getlist("expand")).split(",")))
    if not told <= known:
        raise InvalidFieldsError.of("expand", f"must be among {', '.join(sorted(known))}")
    return told


def check_flags(query: QueryParams) -> None:
    """Raise `InvalidFieldsError` if a flag is neither true nor false.

    Both are accepted and have no effect: there is one account group, and `includeDeleted` does not
    decide whether deleted agents are listed.
    """
    for name in ("useAllPermittedAids", "includeDeleted"):
        if not {"true", "false"}.issuperset(query.getlist(name)):
            raise InvalidFieldsError.of(name, "must be true or false")


def _window_seconds(window: str) -> float:
    match = _WINDOW.fullmatch(window)
    if match is None:
        raise InvalidFieldsError.of("window", "must be a number and one of s, m, h, d and w")
    return float(match[1]) * _UNIT_SECONDS[match[2]]


def _timestamp(field: str, text: str) -> float:
    try:
        moment = datetime.fromisoformat(text)
        return moment.replace(tzinfo=moment.tzinfo or UTC).timestamp()
    except (ValueError, OverflowError):
        raise InvalidFieldsError.of(field, "is not a date and time in ISO 8601") from None


class Body(BaseModel):
    """A body or a part of one, its fields under the API's names."""

    model_config = ConfigDict(alias_generator=to_camel, strict=True)


class Filters(Body):
    """Whose rows are wanted; an empty list means all."""

    agent_id: list[UUID] = Field(default_factory=list)
    test_id: list[str] = Field(default_factory=list)
    user_principal_name: list[str] = Field(default_factory=list)
    nic_model: list[str] = Field(default_factory=list)
    nic_driver_version: list[str] = Field(default_factory=list)

    def admit(self, agent: Agent) -> bool:
        """Tell whether this agent's rows are wanted."""
        told: list[tuple[object, Sequence[object]]] = [
            (UUID(agent.id), self.agent_id),
            (agent.email, self.user_principal_name),
            (agent.machine.nic_model, self.nic_model),
            (agent.machine.nic_driver, self.nic_driver_version),
        ]
        return all(not wanted or value in wanted for value, wanted in told)


class Sort(Body, Generic[SortKey]):
    """One key to sort by."""

    sort: SortKey
    order: Literal["asc", "desc"] = "asc"


class Threshold(Body, Generic[Metric]):
    """A bound on a metric; rows without the metric don't satisfy it."""

    name: Metric
    operator: Literal["gte", "lte"]
    value: float

    def holds(self, row: dict[str, Any]) -> bool:
        """Tell whether a row satisfies it."""
        found = look_up(row, self.name)
        if found is None:
            return False
        return found >= self.value if self.operator == "gte" else found <= self.value


class ThresholdFilter(Body, Generic[Metric]):
    """Bounds: all of them, or at least one, must hold."""

    filters: list[Threshold[Metric]] = Field(default_factory=list)
    conditional_operator: Literal["and", "or"] = "and"


class Search(Body, Generic[SortKey, Metric]):
    """The body of a filter call (OpenAPI 7.0.110); all of it is optional."""

    search_sort: list[Sort[SortKey]] = Field(default_factory=list)
    threshold_filter: ThresholdFilter[Metric] = Field(default_factory=ThresholdFilter[Metric])
    search_filters: Filters = Field(default_factory=Filters)

    @property
    def reads_rows(self) -> bool:
        """Whether the rows' own values decide which rows are returned, and in which order."""
        return bool(self.search_sort or self.threshold_filter.filters)

    def apply(self, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Return the rows that satisfy the thresholds, sorted; rows without the key are last."""
        thresholds = self.threshold_filter.filters
        if thresholds:
            needed = all if self.threshold_filter.conditional_operator == "and" else any
            rows = [row for row in rows if needed(t.holds(row) for t in thresholds)]
        for key in reversed(self.search_sort):
            rows = _sorted(rows, key.sort, descending=key.order == "desc")
        return rows


NetworkSearch = Search[
    Literal["round-id", "loss", "latency", "jitter", "cpu", "memory", "signal-quality"],
    Literal[
        "loss", "latency", "jitter", "cpu", "memory", "signal-quality", "application-score",
        "zta-ingress-loss", "zta-service-loss", "zta-ingress-avg-latency",
        "zta-service-avg-latency", "zta-ingress-jitter", "zta-service-jitter",
    ],
]  # fmt: skip
HttpSearch = Search[
    Literal[
        "round-id", "response-time", "dns-time", "connect-time", "ssl-time", "wait-time",
        "response-code", "wire-size",
    ],
    Literal[
        "response-time", "dns-time", "connect-time", "throughput", "ssl-time", "wait-time",
        "application-score",
    ],
]  # fmt: skip
AnySearch = TypeVar("AnySearch", bound=Body)


def parse_search(model: type[AnySearch], body: bytes) -> AnySearch:
    """Return the search in a call's body, which may be empty; raise `InvalidFieldsError`."""
    try:
        return model.model_validate_json(body or b"{}")
    except ValidationError as error:
        raise InvalidFieldsError.from_pydantic(error) from None


def look_up(row: dict[str, Any], name: str) -> float | None:
    """Return a row's value by the name that sort keys and thresholds use."""
    value: Any = row
    for part in _FIELDS.get(name, (name,)):
        value = value.get(part)
        if value is None:
            return None
    return float(value)


def _sorted(rows: list[dict[str, Any]], name: str, *, descending: bool) -> list[dict[str, Any]]:
    having = [row for row in rows if look_up(row, name) is not None]
    lacking = [row for row in rows if look_up(row, name) is None]
    return sorted(having, key=lambda row: look_up(row, name) or 0.0, reverse=descending) + lacking
