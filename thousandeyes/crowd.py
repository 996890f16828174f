"""How a run shares windows of the quota with others that it cannot see.

Pure decisions, as in `quota`. The only sign of another run is that more of a window is gone than
this run's own calls took. A run that comes late and finds nothing left gives no sign, so each run
leaves part of a window to others at first.
"""

import math
from dataclasses import dataclass
from typing import Final

SHARE: Final = 3
"""Only one in this many of the free calls goes out at a time: others may begin at any moment."""
FEW: Final = 2
"""How many replies after the first it takes to tell how many runs use a window."""
UNSEEN: Final = 2
"""How many runs are assumed before that."""
LAST: Final = 2
"""A window's last calls are drawn by lot: this many for each run, but at most half of the window.
Any other run may have a call in flight that no reply has counted yet."""
COURTESY: Final = 1.0
"""Seconds for which a run leaves others their part of a window. Reset and Date are whole seconds:
one run may see a window end up to a second later than another does."""
PARTS: Final = 4
"""How many parts a window is divided into for that, unless more runs are known."""


@dataclass
class Crowd:
    """The runs that seem to use one family's windows, as seen by one of them.

    The more there are, the less each sends at a time, so that together they send half of what is
    free. A window's last calls are drawn by lot: otherwise all would send, and few get through.
    """

    users: int = 0
    """How many there seem to be, including this one; 0: not known yet."""
    _before: int = 0
    """The same, at the first reply of this window."""
    _first: int = 0
    """The Remaining of that reply."""
    _heard: int = 0
    """Replies of this window since then."""
    _began: float = -math.inf
    _courteous_until: float = -math.inf
    _told_at: float = -math.inf
    _lot: float = 0.0

    def begin(self, remaining: int, now: float, lot: float) -> None:
        """Take note of a window's first reply, and of the run's lot for it, from 0 to 1."""
        self._first, self._heard, self._before = remaining, 0, self.users
        # Nobody was waiting for the first window together with this run, which begins anywhere in
        # it. A run that was alone in the last window leaves nothing in this one, and checks again
        # in the next.
        first, looked = self._told_at == -math.inf, self._courteous_until > self._began
        alone = looked and self.users == 1
        self._courteous_until = now if first or alone else now + COURTESY
        self._began, self._told_at, self._lot = now, now, lot

    def hear(self, remaining: int, now: float, unheard: int) -> None:
        """Take note of another reply.

        Args:
            remaining: The lowest Remaining so far.
            now: When it came.
            unheard: Own calls that it may count although no reply of theirs has come.
        """
        self._heard += 1
        self._told_at = now
        if self._heard < FEW:
            return
        others = self._first - remaining - self._heard - unheard
        # A run that had much of a window underestimates the others, and would then take even more
        # of the next one: so the number falls by no more than half per window.
        self.users = max(1 + max(0, math.ceil(others / self._heard)), self._before // 2)

    def most_in_flight(self, free: int, now: float) -> int:
        """Return how many calls may be in flight while a window has this many free for this run."""
        if self._told_at < self._courteous_until <= now:
            return 1  # to find out what the others have left
        return max(1, free // max(SHARE, 2 * (self.users or UNSEEN)))

    def has_the_last(self, free: int, limit: int) -> bool:
        """Tell whether this run may send one of the window's last calls."""
        last = max(self.users, min(LAST * self.users, limit // 2))
        return self.users <= 1 or free >= last or self._lot * last < free

    def courtesy(self, in_flight: int, limit: int, now: float) -> float:
        """Return the seconds that the next call should wait for others; 0: none."""
        part = max(1, limit // max(PARTS, self.users))
        had = 1 + self._heard + in_flight
        return max(0.0, self._courteous_until - now) if had >= part else 0.0
