"""Why a run was cut short, in words."""

import asyncio
from typing import Final

from prefect.exceptions import Pause

from flows.runs.ownership import SUSPENDED
from tasks.loading import without_known_tokens
from tasks.server_calls import NoAccess
from thousandeyes.errors import ThousandEyesError
from thousandeyes.text import cut

CANCELLED: Final = "cancelled"
_BY_PREFECT: Final = "Prefect ended the run's process, as its log says; a retry goes on from here"
_BY_A_SCOPE: Final = "Cancelled via cancel scope "
_LONGEST_SENTENCE: Final = 4_000


def why_cut_short(error: BaseException) -> str:
    """Return why this error ended a run's work: `CANCELLED`, `SUSPENDED`, or a reason in words."""
    if isinstance(error, ThousandEyesError | NoAccess):
        return in_a_sentence(error)
    if isinstance(error, Pause):
        return SUSPENDED
    if isinstance(error, Exception):
        return f"unexpected {type(error).__name__}, see the log"
    # Prefect ends a run whose place under a limit is gone, or whose time is over, by a scope of
    # anyio, which says so; whoever cancels a task says nothing.
    if isinstance(error, asyncio.CancelledError) and str(error).startswith(_BY_A_SCOPE):
        return _BY_PREFECT
    return CANCELLED


def in_a_sentence(error: Exception) -> str:
    """Return an error's words, cut to what the Prefect server takes in an event.

    They repeat what a run was given, where somebody may have pasted a token.
    """
    return cut(without_known_tokens(str(error)), _LONGEST_SENTENCE)
