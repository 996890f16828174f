"""Wait for a Prefect server that is too busy at the moment, and say so."""

import asyncio
import re
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from http import HTTPStatus
from typing import Final

import httpx
from prefect.exceptions import PrefectHTTPStatusError

from deployments.steps import BootstrapError, Found, Step

PATIENCE: Final = 600.0
"""Seconds without a step, after which bootstrap stops waiting for a busy server."""
_FIRST_PAUSE, _LONGEST_PAUSE = 2.0, 30.0
_BUSY: Final = (
    HTTPStatus.TOO_MANY_REQUESTS,
    HTTPStatus.BAD_GATEWAY,
    HTTPStatus.SERVICE_UNAVAILABLE,  # Prefect's answer while its SQLite database is locked
    HTTPStatus.GATEWAY_TIMEOUT,
)
_NO_ANSWER: Final = "no answer in time"
_REFUSED: Final = re.compile(r"PrefectHTTPStatusError: \w+ error '(\d+)")
_TIMED_OUT: Final = re.compile(r"^httpx\.\w+Timeout\b", re.MULTILINE)


class ServerBusy(Exception):
    """A command of Prefect's gave up because the server was too busy; the message says how."""


async def waited_for(
    steps: Callable[[], AsyncIterator[Step]],
    say: Callable[[str], None],
    *,
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    clock: Callable[[], float] = time.monotonic,
) -> AsyncIterator[Step]:
    """Yield each step once; when the server is too busy for a step, start over later.

    Args:
        steps: Takes the steps. Steps that are already done find nothing to change.
        say: Called with a message before each wait.
        sleep: Waits for a number of seconds.
        clock: Returns the time in seconds.

    Raises:
        BootstrapError: The server was busy for too long.
    """
    done: set[tuple[str, bool]] = set()
    latest, pause = clock(), _FIRST_PAUSE
    while True:
        try:
            async for step in steps():
                # A thing may have two steps: what was changed of it, and what was left.
                told = (step.what, step.found is Found.KEPT)
                if told not in done:
                    done.add(told)
                    latest, pause = clock(), _FIRST_PAUSE
                    yield step
        except (PrefectHTTPStatusError, httpx.TimeoutException, ServerBusy) as error:
            if not (why := why_busy(error)):
                raise
            if (waited := clock() - latest) > PATIENCE:
                raise BootstrapError(
                    f"the Prefect server has been too busy for {waited / 60:.0f} minutes ({why}): "
                    "docs/several-machines.md says how much load SQLite takes and what to "
                    "use instead"
                ) from None
            say(f"The Prefect server is busy ({why}); next try in {pause:.0f} s")
            await sleep(pause)
            pause = min(2 * pause, _LONGEST_PAUSE)
        else:
            return


def why_busy(error: PrefectHTTPStatusError | httpx.TimeoutException | ServerBusy) -> str:
    """Return how an error shows that the server is too busy, or nothing if it doesn't. Pure."""
    if isinstance(error, ServerBusy):
        return str(error)
    if isinstance(error, httpx.TimeoutException):
        return _NO_ANSWER
    return _if_busy(error.response.status_code)


def why_gave_up(said: str) -> str:
    """Return how the server was too busy for a command of Prefect's, or nothing. Pure.

    Args:
        said: What the command said, with the traceback of what ended it.
    """
    statuses = (_if_busy(int(status)) for status in _REFUSED.findall(said))
    return next(filter(None, statuses), _NO_ANSWER if _TIMED_OUT.search(said) else "")


def _if_busy(status: int) -> str:
    return f"status {status}" if status in _BUSY else ""
