"""What a command says about a Prefect server that it can't work with."""

from http import HTTPStatus
from typing import Final

from prefect.exceptions import PrefectHTTPStatusError
from prefect.settings import get_current_settings

from tasks.server_calls import NO_ANSWER
from thousandeyes.text import cut

_PREFECTS_WORDS: Final = "Failed to reach API at"
"""Prefect's `RuntimeError`, whose cause is what it got instead of an answer."""
_LONGEST_REASON: Final = 300


def why_unreachable(error: Exception) -> str | None:
    """Return what is wrong with the Prefect server, and what to do; None if it is something else.

    The text may hold the address's user and password.

    Args:
        error: What Prefect's client raised.
    """
    url = get_current_settings().api.url
    if isinstance(error, PrefectHTTPStatusError):
        if error.response.status_code == HTTPStatus.UNAUTHORIZED:
            return (
                f"the Prefect server at {url} asks for a password: set PREFECT_API_AUTH_STRING to "
                "user:password"
            )
        return None
    is_prefects = isinstance(error, RuntimeError) and _PREFECTS_WORDS in str(error)
    if not is_prefects and not isinstance(error, NO_ANSWER):
        return None
    cause = error.__cause__ if is_prefects and error.__cause__ else error
    reason = cut(str(cause).partition("\n")[0], _LONGEST_REASON) or type(cause).__name__
    return (
        f"no Prefect server answers at {url} ({reason}): is it running, and is PREFECT_API_URL "
        "right?"
    )
