"""The families of calls, each with a rate limit of its own, and what a run knows of a family.

Pure decisions, as in `quota`. A third family would be added here.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Final, NamedTuple

from thousandeyes.crowd import Crowd


class Family(StrEnum):
    """The rate limits that a call may count against, each with headers of its own."""

    ORGANIZATION = "organization"
    INSTANT = "instant"


HEADERS: Final = {
    Family.ORGANIZATION: "x-organization-rate-limit-",
    Family.INSTANT: "x-instant-test-rate-limit-",
}
"""The prefix of each family's headers; `limit`, `remaining` and `reset` follow."""

WINDOW: Final = 60.0
"""Seconds in a window, unless replies show otherwise."""
SAME_WINDOW: Final = 1.0
"""Resets at most this many seconds apart belong to one window: servers round up or down."""
MOST_ASKING: Final = 16
"""Calls that may ask at a time after three in a row brought no reply. One after the other, each
until it times out, they would take most of an hour to show that nobody answers."""


@dataclass(frozen=True)
class Told:
    """What one reply says about one family.

    `limit` and `remaining` count calls. `reset` is the end of the window in UTC epoch seconds by
    the server's clock. `seconds_left` is the time from the reply's own `Date` until then, so that a
    skewed clock on either side does no harm; it is 0 or less for a window that is over.
    """

    limit: int
    remaining: int
    reset: float
    seconds_left: float


class Mark(NamedTuple):
    """The state of a family when a call went out."""

    era: int
    lost: int


@dataclass
class FamilyQuota:
    """One family, as this run sees it.

    Its numbers are unknown at the start and after each Reset: then a single call goes out to find
    out. Once a reply has given the numbers, calls go out while the window has room. If a reply says
    nothing about the family, it is `untold` and limits nothing.

    The room is the lowest Remaining, less the reserve, the calls in flight and the calls `spent`.
    Each reply's Remaining counts its own call, so the lowest one misses only these two kinds.

    `chance` returns a random number from 0 to 1. It draws the lots for the last calls of a window
    that others use too.
    """

    reserve: float = 0.0
    told: Told | None = None
    rolls_over_at: float = 0.0
    untold: bool = False
    in_flight: int = 0
    lost: int = 0
    """Calls whose replies said nothing about this family, or never came."""
    counted_lost: int = 0
    """Those of them that the first Remaining of this window counts."""
    era: int = 0
    """Goes up when the family becomes unknown. Calls of an earlier era say nothing of this one."""
    asking: int = 0
    """Calls in flight that should find out the numbers."""
    silent: int = 0
    """Calls in a row that brought no reply: after some of them, several may ask at a time."""
    last_reset: float = -math.inf
    window: float = WINDOW
    """Seconds in a window, as far as Resets show: a minute until two of them are closer."""
    crowd: Crowd = field(default_factory=Crowd)
    chance: Callable[[], float] = lambda: 0.0
    beyond: float = 0.0
    """Seconds to add to a Reset: a server that still refuses after it has rounded it down."""

    def roll_over(self, now: float) -> None:
        """Forget a window that is over."""
        if self.told and now >= self.rolls_over_at:
            self.forget()

    def forget(self) -> None:
        """Make the family's numbers unknown."""
        self.told, self.untold, self.asking = None, False, 0
        self.era += 1

    @property
    def kept_back(self) -> int:
        """Calls of each window that are left to other users."""
        limit = self.told.limit if self.told else 0
        return min(math.ceil(limit * self.reserve), max(0, limit - 1))

    @property
    def spent(self) -> int:
        """Calls that the window's Remaining may not count, because their replies didn't say."""
        return self.lost - self.counted_lost

    @property
    def free(self) -> int:
        """Calls that the window still has for this run, including those in flight."""
        return self.told.remaining - self.kept_back - self.spent if self.told else 0

    def wait(self, now: float) -> float:
        """Return how many seconds a call has to wait; infinite: until a reply says more."""
        if self.told is None:
            may_ask = self.asking < min(4 ** max(0, self.silent - 1), MOST_ASKING)
            return 0.0 if self.untold or may_ask else math.inf
        most = min(self.crowd.most_in_flight(self.free, now), self.free)
        if self.in_flight < most and self.crowd.has_the_last(self.free, self.told.limit):
            return self.crowd.courtesy(self.in_flight, self.told.limit, now)
        return self.rolls_over_at - now

    def leaves(self, share: float) -> bool:
        """Tell whether another call would leave this share of the window, as far as is known."""
        return self.told is None or self.free - self.in_flight > share * self.told.limit

    def send(self) -> None:
        """Note a call that goes out."""
        self.in_flight += 1
        self.asking += self.told is None and not self.untold

    def land(self, mark: Mark) -> None:
        """Note that a call is no longer in flight."""
        self.in_flight -= 1
        if mark.era == self.era:
            self.asking = max(0, self.asking - 1)

    def hear_nothing(self, mark: Mark, *, trustworthy: bool) -> None:
        """Take note of a reply that doesn't mention this family, or of one that was lost."""
        self.lost += 1
        if trustworthy and self.told is None and self.last_reset == -math.inf:
            self.untold = self.untold or mark.era == self.era

    def hear(self, told: Told, mark: Mark, now: float) -> None:
        """Take note of a reading: the lowest Remaining of the newest window counts."""
        if told.remaining == 0 and told.seconds_left <= 0:
            self.beyond = SAME_WINDOW
        # For the call that opened the window, nothing is added: it came as long after its Date as
        # the window ends after its Reset, because both are cut to whole seconds.
        end = now + told.seconds_left + self.beyond * (told.remaining < told.limit - 1)
        if told.reset > self.last_reset + SAME_WINDOW:
            self._measure(told)
            if self.told:
                self.forget()
            if told.seconds_left <= 0:
                return
            self.counted_lost = mark.lost
            self.crowd.begin(told.remaining, now, self.chance())
        elif self.told and told.reset >= self.last_reset - SAME_WINDOW:
            told = replace(told, remaining=min(told.remaining, self.told.remaining))
            if self.told.remaining:  # else it was refused, or the last call of all
                self.crowd.hear(told.remaining, now, self.in_flight + self.spent)
            # A reply that was slow to arrive makes the window seem to end later, never sooner.
            end = min(end, self.rolls_over_at)
        else:
            return
        self.told, self.rolls_over_at, self.untold = told, end, False
        self.last_reset = max(self.last_reset, told.reset)

    def _measure(self, told: Told) -> None:
        """Learn from a new window how long windows are.

        The seconds left are a lower bound, because a call may come at any moment of a window. The
        time between two Resets is an upper bound, because there may be unseen windows in between.
        """
        rounding = 2 * SAME_WINDOW  # Date and Reset are whole seconds
        if told.seconds_left > self.window + rounding:
            self.window = told.seconds_left
        elif told.reset < self.last_reset + self.window - rounding:
            self.window = told.reset - self.last_reset
