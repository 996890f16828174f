"""Clocks that nobody steps, and that go on while the machine sleeps."""

import sys
import time
from collections.abc import Callable


def elapsed() -> float:
    """Return seconds since some moment, those in which the machine slept included."""
    if sys.platform == "linux":
        return time.clock_gettime(time.CLOCK_BOOTTIME)
    if sys.platform == "darwin":  # Python's own stands still there while the machine sleeps
        return time.clock_gettime(time.CLOCK_MONOTONIC)
    return time.monotonic()


def unstepped() -> Callable[[], float]:
    """Return a clock of epoch seconds: the wall clock's as it is now, and never stepped after.

    Two moments read off it are as far apart as they were, also when somebody sets the machine's
    time between them.
    """
    began = time.time() - elapsed()
    return lambda: began + elapsed()
