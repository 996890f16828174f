"""What a run knows of the organization's quota, and whether a call may go out now.

Pure decisions: time comes in as seconds on any clock that never goes back, and nothing here
waits. The facts, from the vendor's page on rate limits: a window is 60 s long, opened by its
first call, and shared by everybody in the organization; 240 calls a window for the organization
and 24 for instant tests; each reply may tell Limit, Remaining and Reset of one or both.
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Final

from thousandeyes.replies import Family, Reply, Told

WINDOW: Final = 60.0
"""Seconds in a window, for what no reply tells."""
SAME_WINDOW: Final = 1.0
"""Resets at most this many seconds apart belong to one window: servers round either way."""
GRACE: Final = 1.0
"""Seconds to wait for a Reset that has passed already."""
SHARE: Final = 3
"""One part in so many of the room goes out at a time, so that runs can share a window."""


@dataclass(frozen=True)
class Permit:
    """Leave for one call: the families it spends, and which unknown stretch of each it is from."""

    eras: Mapping[Family, int]


@dataclass
class FamilyQuota:
    """One family as this run sees it: unknown, told, or not told at all (`untold`).

    Unknown, at the start and after each Reset, lets one call through, alone, to find out. Told
    gives out what the lowest Remaining leaves, less the reserve, less what is in flight, less
    what was `spent` without the reply that would tell. Untold is not limited.
    """

    reserve: float = 0.0
    told: Told | None = None
    rolls_over_at: float = 0.0
    untold: bool = False
    in_flight: int = 0
    spent: int = 0
    era: int = 0
    asking: bool = False
    last_reset: float = -math.inf

    def roll_over(self, now: float) -> None:
        """Forget a window that is over."""
        if self.told and now >= self.rolls_over_at:
            self.forget()

    def forget(self) -> None:
        """Become unknown."""
        self.told, self.untold, self.asking, self.spent = None, False, False, 0
        self.era += 1

    @property
    def kept_back(self) -> int:
        """Calls of each window that are left to other users."""
        limit = self.told.limit if self.told else 0
        return min(math.ceil(limit * self.reserve), max(0, limit - 1))

    @property
    def free(self) -> int:
        """Calls that the window still holds for this run, those in flight among them."""
        return self.told.remaining - self.kept_back - self.spent if self.told else 0

    def wait(self, now: float) -> float:
        """Return 0 if a call may go out, else seconds; infinite: until a reply tells more."""
        if self.told is None:
            return math.inf if self.asking and not self.untold else 0.0
        if self.in_flight < max(1, self.free // SHARE) and self.in_flight < self.free:
            return 0.0
        return self.rolls_over_at - now

    def send(self) -> int:
        """Note a call that goes out; returns the era that its permit carries."""
        self.in_flight += 1
        self.asking = self.asking or (self.told is None and not self.untold)
        return self.era

    def land(self, era: int) -> None:
        """Note that a call is no longer in flight."""
        self.in_flight -= 1
        if era == self.era:
            self.asking = False

    def hear_nothing(self, *, trustworthy: bool) -> None:
        """Take a reply that doesn't tell this family, or the loss of one."""
        if trustworthy and self.told is None and self.last_reset == -math.inf:
            self.untold = True
        else:
            self.spent += 1

    def hear(self, told: Told, now: float) -> None:
        """Take a reading: the lowest Remaining of the newest window counts."""
        if told.reset < self.last_reset - SAME_WINDOW:
            return
        over = told.seconds_left <= 0
        if self.told is None:
            if over or told.reset <= self.last_reset + SAME_WINDOW:
                return
            self.told, self.rolls_over_at = told, now + told.seconds_left
        elif told.reset <= self.last_reset + SAME_WINDOW:
            remaining = min(told.remaining, self.told.remaining)
            self.told = Told(told.limit, remaining, told.reset, told.seconds_left)
            self.rolls_over_at = max(self.rolls_over_at, now + told.seconds_left)
        else:
            self.forget()
            self.hear(told, now)
            return
        self.untold = False
        self.last_reset = max(self.last_reset, told.reset)


@dataclass
class Quota:
    """Both families, and the closed times that a 429 brings.

    `reserve` is the fraction of each window left to other users. `assumed` is the instant limit
    concluded from a 429 where no reply tells it, None as long as there is none.
    """

    reserve: float = 0.0
    families: dict[Family, FamilyQuota] = field(init=False)
    closed_until: float = -math.inf
    assumed: int | None = None
    _accepted: int = 0
    _assumed_end: float | None = None
    _shut: bool = False

    def __post_init__(self) -> None:
        self.families = {family: FamilyQuota(self.reserve) for family in Family}

    def wait(self, spends: Iterable[Family], now: float) -> float:
        """Return 0 if a call that spends these families may go out, else seconds to wait.

        Infinite where only a reply can tell more. To be asked again after any reply.
        """
        for family in self.families.values():
            family.roll_over(now)
        if now < self.closed_until:
            return self.closed_until - now
        return max(self.families[family].wait(now) for family in spends)

    def send(self, spends: Iterable[Family]) -> Permit:
        """Note a call that goes out."""
        if self._shut:
            self._shut, self._accepted, self._assumed_end = False, 0, None
        return Permit({family: self.families[family].send() for family in spends})

    def unsent(self, permit: Permit) -> None:
        """Note that a permitted call never reached the API."""
        for family, era in permit.eras.items():
            self.families[family].land(era)

    def lost(self, permit: Permit) -> None:
        """Note that a call went out and no reply came back: it counts until the window is over."""
        self.unsent(permit)
        for family in permit.eras:
            self.families[family].hear_nothing(trustworthy=False)

    def replied(self, permit: Permit, reply: Reply, now: float) -> None:
        """Take what a reply tells."""
        self.unsent(permit)
        refused = reply.status == HTTPStatus.TOO_MANY_REQUESTS
        told = reply.told()
        if Family.INSTANT in permit.eras and Family.INSTANT not in told and not refused:
            told |= self._conclude(now)
        elif Family.INSTANT in told:
            self.assumed = None
        for family, reading in told.items():
            self.families[family].hear(reading, now)
        for family in permit.eras:
            if family not in told and not refused:
                self.families[family].hear_nothing(trustworthy=reply.trustworthy)
        if refused:
            self._close(permit, reply, now)

    def _close(self, permit: Permit, reply: Reply, now: float) -> None:
        """Close for everybody: until the Reset that explains the 429, else for a window."""
        waits = [told.seconds_left for told in reply.told().values() if told.remaining == 0]
        waits += [
            known.rolls_over_at - now
            for family in permit.eras
            if (known := self.families[family]).told and known.told.remaining == 0
        ]
        if (retry_after := reply.retry_after()) is not None:
            waits.append(retry_after)
        if not waits and Family.INSTANT in permit.eras:
            instant = self.families[Family.INSTANT]
            if instant.told is None and self._accepted:
                self.assumed = self._accepted
            instant.forget()
        self.closed_until = max(
            self.closed_until, now + max([GRACE, *waits] if waits else [WINDOW])
        )
        self._shut = True

    def _conclude(self, now: float) -> dict[Family, Told]:
        """Count an answered instant call, and tell what the assumed limit leaves."""
        self._accepted += 1
        if self.assumed is None:
            return {}
        if self._shut:  # a late reply from before the 429: the limit is larger than it seemed
            self.assumed = max(self.assumed, self._accepted)
            return {}
        if self._assumed_end is None or now >= self._assumed_end:
            self._accepted, self._assumed_end = 1, now + WINDOW
        left = max(0, self.assumed - self._accepted)
        return {
            Family.INSTANT: Told(self.assumed, left, self._assumed_end, self._assumed_end - now)
        }
