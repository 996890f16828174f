"""Clocks that nobody can set, and that keep running while the machine sleeps."""

import sys
import time
from collections.abc import Callable


def elapsed() -> float:
    """Return the seconds since some fixed moment, including time that the machine was asleep."""
    if sys.platform == "linux":
        return time.clock_gettime(time.CLOCK_BOOTTIME)
    if sys.platform == "darwin":  # Python's own clock stops there during sleep
        return time.clock_gettime(time.CLOCK_MONOTONIC)
    return time.monotonic()


def unstepped() -> Callable[[], float]:
    """Return a clock of epoch seconds that starts at the wall clock's time and is never set.

    The difference between two of its readings is the time that passed, even if somebody sets the
    machine's clock in between.
    """
    began = time.time() - elapsed()
    return lambda: began + elapsed()
