"""What a test can end in, and all that an ending means: a new one is described here alone."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Final


class Outcome(StrEnum):
    """What became of the call for one test. Every test asked for ends in exactly one of these."""

    ACCEPTED = "accepted"
    """The API took the call (any 2xx whose body is not an HTML page)."""
    NOT_FOUND = "not_found"
    """404."""
    INVALID = "invalid"
    """Any other 4xx, or a redirect."""
    FORBIDDEN = "forbidden"
    """401 or 403."""
    SERVER_ERROR = "server_error"
    """5xx was the last answer."""
    UNREACHABLE = "unreachable"
    """No attempt ever got a connection."""
    UNKNOWN = "unknown"
    """A call went out and no trustworthy answer came back."""
    QUOTA_EXHAUSTED = "quota_exhausted"
    """The test waited for quota longer than it may."""
    NOT_ATTEMPTED = "not_attempted"
    """The run stopped before the test's turn."""
    SKIPPED = "skipped"
    """The run left the test out on purpose."""


class VerdictName(StrEnum):
    """What the results of a test that was accepted come to."""

    PASSED = "passed"
    """Enough of the agents that answered measured well."""
    FAILED = "failed"
    """Too many of them did not."""
    NO_DATA = "no_data"
    """Nobody answered."""
    TIMED_OUT = "timed_out"
    """Fewer agents answered than it takes to judge."""


Ending = Outcome | VerdictName
"""What a reader needs to know of a test: what was measured, else what became of the call."""


@dataclass(frozen=True)
class Meaning:
    """What an ending means to the reader, and to a run that meets it."""

    tells: str
    """One sentence for the reader: what happened, or where to look."""
    good: bool = False
    """It needs nobody's attention."""
    wrong: bool = True
    """If it is not good: something was found to be wrong, rather than nothing found out."""
    kept: bool = False
    """The same call would end the same way, so that a retried run doesn't make it."""
    in_doubt: bool = False
    """The API may have carried the call out."""
    unheard: bool = False
    """The API knows nothing of the call."""
    down: bool = False
    """It speaks of the API or the way there, and not of the test."""


MEANING: Final[Mapping[Ending, Meaning]] = MappingProxyType(
    {
        VerdictName.FAILED: Meaning("It ran, and what agents measured is not good enough."),
        Outcome.UNKNOWN: Meaning(
            "Sent, and no trustworthy answer: it may have run. See its results.",
            in_doubt=True,
            down=True,
        ),
        Outcome.SERVER_ERROR: Meaning(
            "The API answered with an error of its own: it may have run.",
            in_doubt=True,
            down=True,
        ),
        Outcome.UNREACHABLE: Meaning(
            "No connection to the API: look at network, proxy and certificates.",
            unheard=True,
            down=True,
        ),
        Outcome.FORBIDDEN: Meaning(
            "Token, its permission to edit endpoint tests, or the account group."
        ),
        Outcome.NOT_FOUND: Meaning(
            "No such test in this account group: look at the ID and at `aid`.", kept=True
        ),
        Outcome.INVALID: Meaning(
            "The API does not take this call: its reason stands beside the test.", kept=True
        ),
        Outcome.QUOTA_EXHAUSTED: Meaning(
            "Waited for quota as long as TE_MAX_QUOTA_WAIT allows.", unheard=True
        ),
        VerdictName.TIMED_OUT: Meaning(
            "It ran, and too few agents answered to judge it.", wrong=False
        ),
        VerdictName.NO_DATA: Meaning(
            "It was accepted, and no agent answered: look whether any is online.", wrong=False
        ),
        Outcome.NOT_ATTEMPTED: Meaning(
            "The run stopped before its turn came.", wrong=False, unheard=True
        ),
        Outcome.SKIPPED: Meaning("Left out on purpose.", good=True, kept=True),
        Outcome.ACCEPTED: Meaning("The API took the call.", good=True, kept=True),
        VerdictName.PASSED: Meaning(
            "It ran, and enough of the agents that answered measured well.", good=True
        ),
    }
)
"""What each ending means. The order is that of reading: what needs a look most comes first."""
