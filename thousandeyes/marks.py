"""A test's last runs as a short text, one mark a run, the newest at the right. Pure.

Each run's record carries the marks on to the next one, so that a picture of many runs costs reading
one of them. They are signs that a font has, that no Markdown touches and that no system turns into
a coloured picture.
"""

from types import MappingProxyType
from typing import Final

from thousandeyes.outcomes import GOOD, OPEN, UNTOLD, Ending

PASSED: Final = "✓"
FAILED: Final = "✗"
NO_DATA: Final = "○"
NOT_SENT: Final = "·"
MEANING: Final = MappingProxyType(
    {PASSED: "passed", FAILED: "failed", NO_DATA: "no data", NOT_SENT: "not sent"}
)
"""What each mark says. Passed is also a test that was accepted where nobody waited for results."""
MOST_RUNS: Final = 30
"""Runs that are remembered of a test."""


def mark(ending: Ending) -> str:
    """Return the mark of a run in which a test ended so."""
    if ending in UNTOLD:
        return NOT_SENT
    if ending in GOOD:
        return PASSED
    return NO_DATA if ending in OPEN else FAILED


def continued(history: str, newest: str) -> str:
    """Return a history with one more mark; of a long one the oldest goes."""
    return (history + newest)[-MOST_RUNS:]


def marked_anew(history: str, newest: str) -> str:
    """Return a history whose newest run has another mark."""
    return continued(history[:-1], newest)


def last_sent(history: str) -> str:
    """Return the mark of the newest run that sent the test, empty where none did."""
    return history.rstrip(NOT_SENT)[-1:]


def is_worth_keeping(history: str) -> bool:
    """Tell whether anything but not sent is in it."""
    return bool(history.strip(NOT_SENT))


def read(text: object) -> str:
    """Return the history that a row holds, empty where none. A mark that is not known is `·`."""
    marks = str(text or "")[-MOST_RUNS:]
    return "".join(one if one in MEANING else NOT_SENT for one in marks)
