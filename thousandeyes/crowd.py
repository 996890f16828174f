"""How a run shares windows of the quota with others that it cannot see.

Pure decisions, as in `quota`. A run learns of others by one thing alone: more is gone of a window
than its own calls took. Who comes late and finds nothing left shows in nothing at all, which is why
each leaves a part to others at first.
"""

import math
from dataclasses import dataclass
from typing import Final

SHARE: Final = 3
"""One part in so many of the room goes out at a time: others may begin at any moment."""
FEW: Final = 2
"""So many replies after the first tell how many runs use a window; fewer don't."""
UNSEEN: Final = 2
"""How many runs are reckoned with before."""
LAST: Final = 2
"""A window's last calls are drawn by lot: so many for each run, and no more than half of it. Any
other run may have a call out that no reply has told of yet."""
COURTESY: Final = 1.0
"""Seconds for which a run leaves others their part of a window. Reset and Date are whole seconds:
one run may take a window for over up to a second later than another."""
PARTS: Final = 4
"""Into how many parts a window is divided for that, where no more runs are known."""


@dataclass
class Crowd:
    """The runs that seem to use one family's windows, as one of them sees it.

    The more there are, the less each sends at a time, so that all together send half of the room.
    A window's last calls are drawn by lot: all would send, and few would get one.
    """

    users: int = 0
    """How many there seem to be, this one among them; 0: not known yet."""
    _before: int = 0
    """The same, when this window was first heard of."""
    _first: int = 0
    """The Remaining with which it was first heard of."""
    _heard: int = 0
    """Replies that told of it since."""
    _began: float = -math.inf
    _courteous_until: float = -math.inf
    _told_at: float = -math.inf
    _lot: float = 0.0

    def begin(self, remaining: int, now: float, lot: float) -> None:
        """Take the first reply that tells of a window, and the window's lot, from 0 to 1."""
        self._first, self._heard, self._before = remaining, 0, self.users
        # Nobody waited for the first window with this run: it may come at any moment of it.
        # Who found itself alone in the last one leaves nothing in this one, and looks in the next.
        first, looked = self._told_at == -math.inf, self._courteous_until > self._began
        alone = looked and self.users == 1
        self._courteous_until = now if first or alone else now + COURTESY
        self._began, self._told_at, self._lot = now, now, lot

    def hear(self, remaining: int, now: float, unheard: int) -> None:
        """Take another one.

        Args:
            remaining: The lowest Remaining so far.
            now: When it came.
            unheard: Own calls that it may count, and of which no reply has told.
        """
        self._heard += 1
        self._told_at = now
        if self._heard < FEW:
            return
        others = self._first - remaining - self._heard - unheard
        # Who had much of a window takes the others for fewer than they are, and would have more of
        # the next one: so believe slowly that they are fewer.
        self.users = max(1 + max(0, math.ceil(others / self._heard)), self._before // 2)

    def most_in_flight(self, free: int, now: float) -> int:
        """Return how many calls may be out while a window holds so many for this run."""
        if self._told_at < self._courteous_until <= now:
            return 1  # it asks what the others have left
        return max(1, free // max(SHARE, 2 * (self.users or UNSEEN)))

    def has_the_last(self, free: int, limit: int) -> bool:
        """Tell whether the window's last calls are for this run too."""
        last = max(self.users, min(LAST * self.users, limit // 2))
        return self.users <= 1 or free >= last or self._lot * last < free

    def courtesy(self, in_flight: int, limit: int, now: float) -> float:
        """Return the seconds for which the next call is to wait for others; 0: none."""
        part = max(1, limit // max(PARTS, self.users))
        had = 1 + self._heard + in_flight
        return max(0.0, self._courteous_until - now) if had >= part else 0.0
