"""What a run knows of the organization's quota, and whether a call may go out now.

Pure decisions: time is passed in as seconds on any clock that never goes back, and nothing here
waits. The facts, from https://developer.cisco.com/docs/thousandeyes/rate-limits: a window lasts
60 s and is shared by everybody in the organization. It holds 240 calls for the organization and 24
for instant tests. Each reply may give Limit, Remaining and Reset of one or both.
"""

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Final, NamedTuple

from thousandeyes.families import WINDOW, Family, FamilyQuota, Mark, Told
from thousandeyes.replies import Reply

GRACE: Final = 1.0
"""Seconds to wait for a Reset that has already passed."""
DOCUMENTED: Final = 240
"""Calls in an organization's window, if no reply gives the limit: reading page after page from an
API without headers must stop somewhere."""
DOCUMENTED_INSTANT: Final = 24
"""Instant calls in a window. If no reply gives the limit, no more than these are tried."""
_STEP: Final = 6
"""Instant calls that are tried beyond an assumed limit after a window without a 429."""


class Permit(NamedTuple):
    """Permission to send one call: the families it spends, and the state of all at that moment."""

    spends: tuple[Family, ...]
    marks: Mapping[Family, Mark]


@dataclass
class Quota:
    """Both families, and the time after a 429 during which no call may go out.

    `reserve` is the fraction of each window left to other users, `chance` draws the lots for a
    window's last calls. `assumed` is the instant limit if no reply gives it: as many calls as were
    accepted until a 429 came, and more after each window without one, because others may have used
    the rest. It is None until there is a 429, and grows no further than the documented limit.
    """

    reserve: float = 0.0
    chance: Callable[[], float] = lambda: 0.0
    families: dict[Family, FamilyQuota] = field(init=False)
    closed_until: float = -math.inf
    assumed: int | None = None
    _accepted: int = 0
    _shut: bool = False
    _refused: bool = False
    _by_headers: bool = False
    _by_the_book: int = 0

    def __post_init__(self) -> None:
        self.families = {family: FamilyQuota(self.reserve, chance=self.chance) for family in Family}

    def wait(self, spends: Iterable[Family], now: float) -> float:
        """Return the seconds that such a call has to wait; infinite: until a reply says more."""
        for family in self.families.values():
            family.roll_over(now)
        if now < self.closed_until:
            return self.closed_until - now
        return max(self.families[family].wait(now) for family in spends)

    def send(self, spends: Iterable[Family]) -> Permit:
        """Note a call that goes out."""
        if self._shut:
            self._shut, self._accepted = False, 0
        marks = {name: Mark(known.era, known.lost) for name, known in self.families.items()}
        permit = Permit(tuple(spends), marks)
        for family in permit.spends:
            self.families[family].send()
        return permit

    def unsent(self, permit: Permit) -> None:
        """Note that a permitted call never reached the API."""
        for family in permit.spends:
            self.families[family].land(permit.marks[family])

    def lost(self, permit: Permit, *, sent: bool = True) -> None:
        """Note that nobody answered: if it was sent, the call counts until the window ends."""
        self.unsent(permit)
        for family in permit.spends:
            self.families[family].silent += 1
            if sent:
                self.families[family].hear_nothing(permit.marks[family], trustworthy=False)

    def replied(self, permit: Permit, reply: Reply, now: float) -> None:
        """Take note of what a reply says."""
        for quota in self.families.values():
            quota.roll_over(now)
        self.unsent(permit)
        for family in permit.spends:
            self.families[family].silent = 0
        refused = reply.status == HTTPStatus.TOO_MANY_REQUESTS
        told = reply.told()
        if Family.INSTANT in told:
            self.assumed = None
        elif Family.INSTANT in permit.spends and not refused:
            told |= self._conclude(permit.marks[Family.INSTANT].era, now)
        if Family.ORGANIZATION in told:
            self._by_headers = True
        elif reply.trustworthy and not refused and not self._by_headers:
            told |= self._documented(now)
        for family, reading in told.items():
            self.families[family].hear(reading, permit.marks[family], now)
        if refused:
            self._close(permit, reply, told, now)
            return
        for family in set(permit.spends) - told.keys():
            self.families[family].hear_nothing(permit.marks[family], trustworthy=reply.trustworthy)

    def _close(self, permit: Permit, reply: Reply, told: Mapping[Family, Told], now: float) -> None:
        """Let no call out until the Reset that explains the 429, or else for a whole window."""
        waits = [reading.seconds_left for reading in told.values() if reading.remaining == 0]
        waits += [
            known.rolls_over_at - now
            for family in permit.spends
            if (known := self.families[family]).told and known.told.remaining == 0
        ]
        if not waits and Family.INSTANT in permit.spends:
            self._assume()
        if (retry_after := reply.retry_after()) is not None:
            waits.append(retry_after)
        wait = max(GRACE, *waits) if waits else WINDOW
        self.closed_until = max(self.closed_until, now + wait)
        self._shut = self._refused = True

    def _documented(self, now: float) -> dict[Family, Told]:
        """Count an answered call without headers; return what the documented limit leaves."""
        organization = self.families[Family.ORGANIZATION]
        if organization.told is None:
            self._by_the_book, organization.rolls_over_at = 0, now + WINDOW
        self._by_the_book += 1
        left, end = max(0, DOCUMENTED - self._by_the_book), organization.rolls_over_at
        return {Family.ORGANIZATION: Told(DOCUMENTED, left, end, end - now)}

    def _assume(self) -> None:
        """Assume that the limit is what was accepted since the last opening."""
        instant = self.families[Family.INSTANT]
        if self._accepted and (instant.told is None or self.assumed is not None):
            self.assumed = self._accepted
            instant.last_reset = -math.inf  # from now on Resets are by our own clock
        instant.forget()

    def _conclude(self, era: int, now: float) -> dict[Family, Told]:
        """Count an answered instant call without headers; return what the assumed limit leaves.

        The first answer of an era opens the assumed window, later than the real one.
        """
        instant = self.families[Family.INSTANT]
        if era != instant.era and not self._shut:
            return {}
        self._accepted += 1
        if self.assumed is None:
            return {}
        if era != instant.era:  # from before the 429: the limit is larger than it seemed
            self.assumed = max(self.assumed, self._accepted)
            return {}
        if instant.told is None:
            if not self._refused:
                self.assumed = max(self.assumed, min(self.assumed + _STEP, DOCUMENTED_INSTANT))
            self._refused = False
            self._accepted, instant.rolls_over_at = 1, now + WINDOW
        left, end = max(0, self.assumed - self._accepted), instant.rolls_over_at
        return {Family.INSTANT: Told(self.assumed, left, end, end - now)}
