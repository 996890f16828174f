"""A test's last runs as a short text, one mark for each run, the newest at the right. Pure.

Each run's record passes the marks on to the next, so that a picture of many runs takes reading only
one of them. The marks are characters that fonts have, that Markdown leaves alone and that no system
shows as an emoji.
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
"""What each mark means. A test that was accepted without waiting for results counts as passed."""
MOST_RUNS: Final = 30
"""How many runs of a test are remembered."""


def mark(ending: Ending) -> str:
    """Return the mark for a run in which a test ended like this."""
    if ending in UNTOLD:
        return NOT_SENT
    if ending in GOOD:
        return PASSED
    return NO_DATA if ending in OPEN else FAILED


def continued(history: str, newest: str) -> str:
    """Return a history with one more mark; a full history loses its oldest."""
    return (history + newest)[-MOST_RUNS:]


def marked_anew(history: str, newest: str) -> str:
    """Return a history with the newest run's mark replaced."""
    return continued(history[:-1], newest)


def last_sent(history: str) -> str:
    """Return the mark of the newest run that sent the test; empty if none did."""
    return history.rstrip(NOT_SENT)[-1:]


def is_worth_keeping(history: str) -> bool:
    """Tell whether any run of the history sent the test."""
    return bool(history.strip(NOT_SENT))


def read(text: object) -> str:
    """Return the history that a row holds, which may be empty. An unknown mark is read as `·`."""
    marks = str(text or "")[-MOST_RUNS:]
    return "".join(one if one in MEANING else NOT_SENT for one in marks)
