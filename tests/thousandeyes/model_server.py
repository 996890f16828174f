"""The API's quota as the vendor describes it: fixed windows, by a clock of the server's own."""

import math
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from email.utils import formatdate

from thousandeyes.families import Family
from thousandeyes.replies import Reply

EPOCH = 1_800_000_000.25
STEMS = {
    Family.ORGANIZATION: "x-organization-rate-limit",
    Family.INSTANT: "x-instant-test-rate-limit",
}
BOTH = (Family.ORGANIZATION, Family.INSTANT)


@dataclass
class Window:
    """At most `limit` calls in 60 s; `started` numbers the windows.

    They are minutes of the server's clock, which is at `zero` when ours is at 0, or, without such a
    zero, each begins with its first call.
    """

    limit: int
    zero: float | None = None
    opened_at: float = -math.inf
    granted: int = 0
    started: int = 0

    def beginning(self, now: float) -> float:
        return now if self.zero is None else now - (self.zero + now) % 60

    def at(self, now: float) -> "Window":
        if now >= self.opened_at + 60:
            self.granted = 0
        return self

    def take(self, now: float) -> bool:
        if now >= self.opened_at + 60:
            self.opened_at, self.granted = self.beginning(now), 0
            self.started += 1
        if self.granted >= self.limit:
            return False
        self.granted += 1
        return True


@dataclass
class ModelServer:
    """Answers calls at a local time; its own clock may be off by `skew` seconds."""

    limits: Mapping[Family, int]
    tells: Collection[Family] = BOTH
    rounding: Callable[[float], int] = math.ceil
    skew: float = 0.0
    dated: bool = True
    by_the_clock: bool = True
    windows: dict[Family, Window] = field(init=False)
    refused: int = 0

    def __post_init__(self) -> None:
        zero = self.clock(0.0) if self.by_the_clock else None
        self.windows = {family: Window(limit, zero) for family, limit in self.limits.items()}

    def clock(self, now: float) -> float:
        return EPOCH + self.skew + now

    def take(self, spends: Collection[Family], now: float) -> bool:
        granted = all(self.windows[family].take(now) for family in spends)
        self.refused += not granted
        return granted

    def headers(self, now: float) -> dict[str, str]:
        told = {"content-type": "application/json"}
        if self.dated:
            told["date"] = formatdate(math.floor(self.clock(now)), usegmt=True)
        for family in self.tells:
            window = self.windows[family].at(now)
            began = window.opened_at if window.granted else window.beginning(now)
            opened_at = max(began, now - 60)
            told[f"{STEMS[family]}-limit"] = str(window.limit)
            told[f"{STEMS[family]}-remaining"] = str(window.limit - window.granted)
            told[f"{STEMS[family]}-reset"] = str(self.rounding(self.clock(opened_at + 60)))
        return told

    def reply(self, status: int, now: float) -> Reply:
        body = '{"message": "ok"}' if status == 200 else '{"title": "no"}'
        return Reply(status, self.headers(now), body, arrived=EPOCH + now)
