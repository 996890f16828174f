"""How a test can end, and all that each ending means. A new ending has to be added only here."""

from enum import StrEnum
from types import MappingProxyType
from typing import Final


class Outcome(StrEnum):
    """What became of one test's call. Every requested test ends with exactly one of these."""

    ACCEPTED = "accepted"  # any 2xx whose body is not an HTML page
    NOT_FOUND = "not_found"  # 404
    INVALID = "invalid"  # any other 4xx, or a redirect
    FORBIDDEN = "forbidden"  # 401 or 403
    SERVER_ERROR = "server_error"  # 5xx was the last answer
    UNREACHABLE = "unreachable"  # no attempt ever got a connection
    UNKNOWN = "unknown"  # a call went out, but no trustworthy answer came back
    QUOTA_EXHAUSTED = "quota_exhausted"  # the test waited for quota as long as allowed
    NOT_ATTEMPTED = "not_attempted"  # the run stopped before the test's turn
    SKIPPED = "skipped"  # the run left the test out on purpose


class VerdictName(StrEnum):
    """The verdict on the results of an accepted test."""

    PASSED = "passed"  # enough of the agents that answered measured well
    FAILED = "failed"  # too many of them did not
    NO_DATA = "no_data"  # nobody answered
    TIMED_OUT = "timed_out"  # fewer agents answered than it takes to judge


Ending = Outcome | VerdictName
"""What a reader needs to know of a test: what was measured, else what became of the call."""

MEANING: Final = MappingProxyType[Ending, str](
    {
        VerdictName.FAILED: "It ran, and what agents measured is not good enough.",
        Outcome.UNKNOWN: "Sent, but no trustworthy answer: it may have run. Check its results.",
        Outcome.SERVER_ERROR: "The API answered with an internal error: it may have run.",
        Outcome.UNREACHABLE: (
            "No connection to the API: check the network, the proxy and the certificates."
        ),
        Outcome.FORBIDDEN: (
            "Check the token, its permission to edit endpoint tests, and the account group."
        ),
        Outcome.NOT_FOUND: "No such test in this account group: check the ID and `aid`.",
        Outcome.INVALID: "The API rejected the call; its reason is given with the test.",
        Outcome.QUOTA_EXHAUSTED: "Waited for quota as long as TE_MAX_QUOTA_WAIT allows.",
        VerdictName.TIMED_OUT: "It ran, and too few agents answered to judge it.",
        VerdictName.NO_DATA: (
            "It was accepted, but there are no results to judge: check whether any agents are "
            "online, and whether the results could be read."
        ),
        Outcome.NOT_ATTEMPTED: (
            "The run stopped before its turn came: a retry, or `only_failed_of`, sends it."
        ),
        Outcome.SKIPPED: "Left out on purpose.",
        Outcome.ACCEPTED: "The API accepted the call.",
        VerdictName.PASSED: "It ran, and enough of the agents that answered measured well.",
    }
)
"""What each ending means to the reader, in reading order: the worst comes first."""


def in_words(ending: Ending) -> str:
    """Return an ending in words, such as `not found`."""
    return ending.replace("_", " ")


GOOD: Final = frozenset({Outcome.ACCEPTED, Outcome.SKIPPED, VerdictName.PASSED})
"""Endings that need nobody's attention."""

OPEN: Final = frozenset({Outcome.NOT_ATTEMPTED, VerdictName.NO_DATA, VerdictName.TIMED_OUT})
"""Endings that are not good although nothing was found to be wrong."""

UNANSWERED: Final = frozenset({VerdictName.NO_DATA, VerdictName.TIMED_OUT})
"""Verdicts that say nothing about what was measured, because too few agents answered."""

UNTOLD: Final = frozenset({Outcome.NOT_ATTEMPTED, Outcome.SKIPPED})
"""Outcomes that say nothing about the test, because it was not sent."""

REFUSED: Final = frozenset({Outcome.NOT_FOUND, Outcome.INVALID, Outcome.FORBIDDEN})
"""Outcomes by which the API says that the test can't be run."""

KEPT: Final = frozenset({Outcome.ACCEPTED, Outcome.NOT_FOUND, Outcome.INVALID, Outcome.SKIPPED})
"""Outcomes that a retried run keeps: the same call would end the same way."""

IN_DOUBT: Final = frozenset({Outcome.UNKNOWN, Outcome.SERVER_ERROR})
"""Outcomes after which the API may have carried the call out."""

UNHEARD: Final = frozenset({Outcome.NOT_ATTEMPTED, Outcome.UNREACHABLE, Outcome.QUOTA_EXHAUSTED})
"""Outcomes that the API knows nothing about."""

DOWN: Final = IN_DOUBT | {Outcome.UNREACHABLE}
"""Outcomes that say something about the API or the way to it, not about the test."""

SILENT: Final = DOWN | UNHEARD | UNTOLD
"""Outcomes in which neither the API nor a laptop says anything about the test."""
