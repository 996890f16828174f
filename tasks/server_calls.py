"""Calls of the Prefect server that are made until it answers, and what is done when it refuses."""

import asyncio
import json
import logging
import traceback
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from contextlib import contextmanager, suppress
from copy import copy
from functools import partial, wraps
from http import HTTPStatus
from typing import Any, Final, ParamSpec, TypeVar

import httpx
from prefect import get_run_logger
from prefect.client.orchestration import PrefectClient
from prefect.exceptions import MissingContextError
from prefect.logging import get_logger
from pydantic import ValidationError

from thousandeyes.mistakes import told
from thousandeyes.text import cut, without_userinfo

Answer = TypeVar("Answer")
P = ParamSpec("P")
Confirm = Callable[[], Awaitable[None]]
"""Returns when this process may write for its run, and raises if it may not."""

NO_ANSWER: Final = (httpx.RequestError, json.JSONDecodeError, UnicodeDecodeError)
"""What Prefect's client raises where no Prefect server, or nothing that is one, answers."""
_FIRST_PAUSE: Final = 1.0
_LONGEST_PAUSE: Final = 30.0
_READ_AGAIN_FOR: Final = 300.0
"""Seconds of pauses after which an answer that can't be read is no maintenance page of a proxy, but
probably of a version of Prefect that this client does not know."""
_NO_ACCESS = (
    HTTPStatus.UNAUTHORIZED,
    HTTPStatus.FORBIDDEN,
    HTTPStatus.PROXY_AUTHENTICATION_REQUIRED,
)
_STALE: Final = "Invalid CSRF token"
"""How Prefect's server answers (403) to a token that another call of the same client replaced, as
calls do to each other when the token has expired, or when a clock is more than an hour off."""
_REFUSED: Final = (
    HTTPStatus.BAD_REQUEST,
    HTTPStatus.NOT_FOUND,
    HTTPStatus.CONFLICT,
    HTTPStatus.GONE,
    HTTPStatus.UNPROCESSABLE_ENTITY,
)
"""What Prefect answers to the content of a call. The same call would be refused again. Proxies use
these for a server that they can't pass anything on to: Traefik answers 404, for example."""
_PREFECTS_WORDS: Final = frozenset({"detail", "exception_message"})
"""Each refusal of its server holds one of these."""
_LOOKING_INTO_VALUES: Final = ("pydantic", "prefect._internal.", "prefect.utilities.")
"""Modules that find a value wrong for whoever calls them."""
_LONGEST_REASON = 300


class NoAccess(Exception):
    """The Prefect server does not let this process in; nothing more can be recorded."""


async def until_taken(
    call: Callable[[], Awaitable[Answer]],
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    longest_pause: float = _LONGEST_PAUSE,
    confirm: Confirm | None = None,
) -> Answer:
    """Make a call of the Prefect server until it answers, however long it is away or busy.

    What answers in its place counts as away: a proxy's page, say, whatever its status. So does a
    CSRF token that is no longer the latest: Prefect's client gets another one for the next try.

    Args:
        call: The call.
        sleep: Waits that many seconds.
        longest_pause: Seconds between two tries, at most.
        confirm: Called before each try; what it raises ends the tries.

    Raises:
        NoAccess: The server takes no credentials of this process (401, 403, 407).
        PrefectHTTPStatusError: The server refuses what the call holds.
        ValidationError: Prefect's client can't make the call of these values, or for minutes can't
            read what is answered.
    """
    pause, reading_again = _FIRST_PAUSE, 0.0
    while True:
        if confirm:
            await confirm()
        try:
            return await call()
        except Exception as error:
            why = _why_away(error)
            reading_again = reading_again + pause if isinstance(error, ValidationError) else 0.0
            if not why or reading_again > _READ_AGAIN_FOR:
                raise
        run_logger().warning(
            "The Prefect server does not answer as it should (%s); next try in %.0f s", why, pause
        )
        await sleep(pause)
        pause = min(2 * pause, longest_pause)


async def once(call: Callable[[], Awaitable[Answer]]) -> Answer:
    """Make a call of the Prefect server that is not made again while the server is away.

    Args:
        call: The call.

    Raises:
        NoAccess: The server takes no credentials of this process (401, 403, 407).
        Exception: Whatever else the call raises.
    """
    try:
        return await call()
    except Exception as error:
        _why_away(error)
        raise


def until_answered(
    read: Callable[P, Awaitable[Answer]],
) -> Callable[P, Coroutine[Any, Any, Answer]]:
    """Let each call of a function that reads from the Prefect server be made by `until_taken`.

    Args:
        read: The function. It must raise what Prefect raises: an error that it makes itself of what
            is not there would also tell so of a server that is away.
    """

    @wraps(read)
    async def call(*args: P.args, **kwargs: P.kwargs) -> Answer:
        return await until_taken(partial(read, *args, **kwargs))

    return call


def checking_changes(client: PrefectClient) -> PrefectClient:
    """Return the client, made to check the answers to its changes: Prefect's own reads none.

    The server answers a change (PATCH) with 204, of which some gateways make a 200 without a body.
    Anything else, such as a page with status 200 or one that the client was redirected to, raises
    what `until_taken` takes for a server that is away.

    Args:
        client: A client of the Prefect server; it stays as it is, and its connections are shared.
    """
    checking, request = copy(client), client.request

    async def ask(method: Any, *args: Any, **kwargs: Any) -> httpx.Response:  # noqa: ANN401
        answer = await request(method, *args, **kwargs)
        # Redirected by a 301, 302 or 303, it has become a GET.
        empty = answer.is_success and not answer.content
        if method == "PATCH" and not (answer.request.method == method and empty):
            raise httpx.HTTPStatusError("not made", request=answer.request, response=answer)
        return answer

    checking.request = ask  # type: ignore[method-assign]
    return checking


def _why_away(error: Exception) -> str:
    """Return what shows that the server is away or busy; empty where an error shows no such thing.

    Raises:
        NoAccess: The server takes no credentials of this process.
    """
    if isinstance(error, NO_ANSWER):
        return type(error).__name__
    if isinstance(error, ValidationError) and _is_of_an_answer(error):
        return f"an answer that this version of Prefect can't read: {told(error)}"
    answer = _answer(error)
    if answer is None:
        return ""
    status = answer.status_code
    if status in _NO_ACCESS and _STALE not in answer.text:
        raise NoAccess(
            f"the Prefect server does not let this process in ({status}): check "
            "PREFECT_API_AUTH_STRING or PREFECT_API_KEY"
        ) from None
    too_large = status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE  # of the content, though by a proxy
    if too_large or (status in _REFUSED and _is_prefects(answer)):
        return ""
    return f"status {status}"


def _is_of_an_answer(error: ValidationError) -> bool:
    """Tell whether Prefect's client found the value wrong in an answer, not in its own request."""
    for frame, _ in reversed(list(traceback.walk_tb(error.__traceback__))):
        module = str(frame.f_globals.get("__name__"))
        if not module.startswith(_LOOKING_INTO_VALUES):
            answered = any(isinstance(one, httpx.Response) for one in frame.f_locals.values())
            return answered and module.startswith("prefect.client.")
    return False


def _answer(error: BaseException | None) -> httpx.Response | None:
    """Return what the server answered, also where Prefect made another error of that."""
    if isinstance(error, httpx.HTTPStatusError):
        return error.response
    return _answer(error.__cause__) if error else None


def _is_prefects(answer: httpx.Response) -> bool:
    with suppress(ValueError):
        body = answer.json()
        return isinstance(body, dict) and not _PREFECTS_WORDS.isdisjoint(body)
    return False


@contextmanager
def refusals_logged(what: str, *, let_through: tuple[type[Exception], ...] = ()) -> Iterator[None]:
    """Log that something was not recorded, instead of raising: nothing else ends for that.

    Args:
        what: What was to be recorded.
        let_through: Errors that are raised all the same.
    """
    try:
        yield
    except let_through:
        raise
    except Exception as error:  # noqa: BLE001 - whatever Prefect has against it
        # An error of HTTP has the whole address of the Prefect server.
        reason = cut(without_userinfo(f"{type(error).__name__}: {error}"), _LONGEST_REASON)
        run_logger().error("Prefect refuses %s: %s", what, reason)


def run_logger() -> logging.Logger | logging.LoggerAdapter[logging.Logger]:
    """Return the log of the run, or one of our own outside a run."""
    try:
        return get_run_logger()
    except MissingContextError:  # outcomes can be read from anywhere
        return get_logger(__name__)
