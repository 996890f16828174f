"""A run's replies sorted into the quota's windows: what each told to wait, and what was waited."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import groupby, pairwise
from operator import attrgetter
from typing import Final

ACCEPTED: Final = 200
REFUSED: Final = 429


@dataclass(frozen=True)
class Reply:
    """A reply to a rerun call: `sent` and `arrived` by one clock, `date` and `reset` as told."""

    sent: float
    arrived: float
    status: int
    date: float
    reset: float


@dataclass(frozen=True)
class Window:
    """The replies that told one Reset, in the order of their arrival."""

    replies: tuple[Reply, ...]

    @property
    def accepted(self) -> list[Reply]:
        """The replies that granted a rerun."""
        return [reply for reply in self.replies if reply.status == ACCEPTED]

    @property
    def refused(self) -> int:
        """How many calls got 429."""
        return sum(reply.status == REFUSED for reply in self.replies)

    @property
    def sending(self) -> float:
        """Seconds from the first call sent to the last accepted call's reply."""
        return self.accepted[-1].arrived - self.accepted[0].sent

    @property
    def told_wait(self) -> float:
        """Seconds from the last accepted reply's Date to its Reset."""
        return self.accepted[-1].reset - self.accepted[-1].date

    @property
    def told_length(self) -> float:
        """Seconds from the first accepted reply's Date to its Reset."""
        return self.accepted[0].reset - self.accepted[0].date


def windows(replies: Iterable[Reply]) -> list[Window]:
    """Return the windows in which a call was accepted, in order."""
    ordered = sorted(replies, key=attrgetter("reset", "arrived"))
    groups = groupby(ordered, key=attrgetter("reset"))
    found = [Window(tuple(group)) for _, group in groups]
    return [window for window in found if window.accepted]


def waits(found: list[Window]) -> list[float]:
    """Return the seconds actually waited after each window but the last.

    From the arrival of its last accepted reply until the first call of the next window went out.
    """
    return [later.accepted[0].sent - one.accepted[-1].arrived for one, later in pairwise(found)]


def least_seconds(
    begin: float, tests: int, limit: int, seconds: float, taken: Mapping[float, int]
) -> float:
    """Return how long so many tests take at least, in the clock's windows, sent in no time.

    Args:
        begin: When the first call was sent, epoch seconds of the server's clock.
        tests: How many were accepted.
        limit: What a window grants.
        seconds: A window's length.
        taken: What others were granted, by the number of the window since the epoch.
    """
    number, left = begin // seconds, tests
    while (left := left - (limit - taken.get(number, 0))) > 0:
        number += 1
    return max(0.0, number * seconds - begin)
