"""The two rate limits, as arithmetic on a time that is passed in.

The vendor's rate limit page: 240 calls a minute for an organization, and 24 a minute for instant
tests. By all samples in the vendor's documents, and by the only live value that is known, a window
is a minute of the clock. The page itself says that a window ends a minute after its first call;
that is the other kind, `first_call`.
"""

import math
from typing import Literal

Family = Literal["organization", "instant"]
Rounding = Literal["up", "down"]
Beginning = Literal["clock", "first_call"]

_HEADER_STEMS: dict[Family, str] = {
    "organization": "X-Organization-Rate-Limit",
    "instant": "X-Instant-Test-Rate-Limit",
}


class FixedWindow:
    """Grants at most `limit` calls in a window of `seconds`.

    Windows begin at multiples of `seconds` since the epoch, as minutes do, or with their first
    granted call.
    """

    def __init__(self, limit: int, seconds: float, begins: Beginning = "clock") -> None:
        self.limit = limit
        self.seconds = seconds
        self._begins = begins
        self._opened_at: float | None = None
        self._granted = 0

    def take(self, now: float) -> bool:
        """Grant one call at `now` (epoch seconds), or refuse it without counting it."""
        if not self.is_open(now):
            self._opened_at, self._granted = self._beginning(now), 0
        if self._granted >= self.limit:
            return False
        self._granted += 1
        return True

    def is_open(self, now: float) -> bool:
        """Tell whether the window of an earlier call is still open at `now`."""
        return self._opened_at is not None and now < self._opened_at + self.seconds

    def remaining(self, now: float) -> int:
        """Return how many calls would be granted at `now`."""
        return self.limit - self._granted if self.is_open(now) else self.limit

    def rolls_over_at(self, now: float) -> float:
        """Return the window's end in epoch seconds; if none is open, that of one opened `now`."""
        opened_at = self._opened_at if self.is_open(now) else None
        return (self._beginning(now) if opened_at is None else opened_at) + self.seconds

    def _beginning(self, now: float) -> float:
        if self._begins == "first_call":
            return now
        beginning = now // self.seconds * self.seconds
        # With a fraction of a second, rounding might make it a window that is already over.
        return beginning if now < beginning + self.seconds else beginning + self.seconds


class Quota:
    """Both families together, and what a reply's headers say about them."""

    def __init__(
        self,
        *,
        organization_limit: int,
        instant_limit: int,
        window_seconds: float,
        begins: Beginning = "clock",
        reset_rounding: Rounding = "up",
    ) -> None:
        self.windows: dict[Family, FixedWindow] = {
            "organization": FixedWindow(organization_limit, window_seconds, begins),
            "instant": FixedWindow(instant_limit, window_seconds, begins),
        }
        self._round = math.ceil if reset_rounding == "up" else math.floor

    def take(self, families: tuple[Family, ...], now: float) -> Family | None:
        """Spend one call of each family in turn; return the first that refuses, if one does.

        The organization comes first: a run that the instant limit refuses still counts as a call of
        the organization, and a run that the organization refuses spends nothing.
        """
        return next((name for name in families if not self.windows[name].take(now)), None)

    def headers(self, families: tuple[Family, ...], now: float) -> dict[str, str]:
        """Return the rate headers of these families; Reset is in whole UTC epoch seconds."""
        told: dict[str, str] = {}
        for family in families:
            window, stem = self.windows[family], _HEADER_STEMS[family]
            told[f"{stem}-Limit"] = str(window.limit)
            told[f"{stem}-Remaining"] = str(window.remaining(now))
            told[f"{stem}-Reset"] = str(self._round(window.rolls_over_at(now)))
        return told
