"""A Prefect server that is away, busy, refuses, or lets nobody in."""

import json
import logging
from contextlib import suppress

import httpx
import pytest
from prefect import get_client
from prefect.artifacts import acreate_markdown_artifact
from prefect.exceptions import ObjectNotFound, PrefectHTTPStatusError
from prefect.settings import PREFECT_API_URL, PREFECT_CLIENT_MAX_RETRIES, temporary_settings

from tasks.server_calls import NoAccess, refusals_logged, until_taken


def refusal(status: int, text: str = "") -> PrefectHTTPStatusError:
    request = httpx.Request("POST", "http://prefect/api/artifacts/")
    response = httpx.Response(status, text=text, request=request)
    return PrefectHTTPStatusError(str(status), request=request, response=response)


class Server:
    """Fails with the given errors, one a call, then takes what it gets; notes the pauses."""

    def __init__(self, *errors: Exception) -> None:
        self.errors = list(errors)
        self.pauses: list[float] = []

    async def write(self) -> str:
        if self.errors:
            raise self.errors.pop(0)
        return "taken"

    async def sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)


@pytest.mark.parametrize(
    "error",
    [
        httpx.ConnectError("refused"),
        httpx.ReadTimeout("late"),
        httpx.RemoteProtocolError("dropped"),
        refusal(500),
        refusal(503),
        refusal(429),
        refusal(408),
        refusal(302),
        refusal(405),
        refusal(403, '{"detail": "Invalid CSRF token or client identifier."}'),
        refusal(404, "404 page not found\n"),
        refusal(404, '{"message": "no Route matched with those values"}'),
        refusal(410, "<html>"),
        json.JSONDecodeError("a page of a proxy", "<html>", 0),
    ],
    ids=repr,
)
async def test_a_server_that_is_away_or_busy_is_waited_out(error: Exception) -> None:
    away = Server(error, error)
    assert await until_taken(away.write, away.sleep) == "taken"
    assert away.pauses == [1, 2]


async def test_what_prefect_calls_not_found_is_waited_out_where_a_proxy_says_so() -> None:
    """Its client raises `ObjectNotFound` for any 404, and its blocks a `ValueError` for that."""

    def raised(text: str) -> Exception:
        try:
            try:
                raise refusal(404, text)
            except PrefectHTTPStatusError as error:
                raise ObjectNotFound(http_exc=error) from error
        except ObjectNotFound as error:
            missing = ValueError("Unable to find block document")
            missing.__cause__ = error
            return missing

    away = Server(raised("404 page not found"))
    assert await until_taken(away.write, away.sleep) == "taken"
    missing = Server(raised('{"detail": "Block document not found"}'))
    with pytest.raises(ValueError, match="Unable to find"):
        await until_taken(missing.write, missing.sleep)
    assert missing.pauses == []


async def test_the_pauses_grow_to_a_cap() -> None:
    away = Server(*[httpx.ConnectError("refused")] * 8)
    await until_taken(away.write, away.sleep)
    assert away.pauses == [1, 2, 4, 8, 16, 30, 30, 30]


@pytest.mark.parametrize(
    ("status", "text"),
    [
        *((status, "") for status in (400, 409, 413, 422)),
        (404, '{"detail": "Not Found"}'),
        (404, '{"exception_message": "Block type not found"}'),
        (410, '{"detail": "Gone"}'),
    ],
)
async def test_a_refusal_of_what_the_call_holds_is_not_waited_out(status: int, text: str) -> None:
    server = Server(refusal(status, text))
    with pytest.raises(PrefectHTTPStatusError):
        await until_taken(server.write, server.sleep)
    assert server.pauses == []


@pytest.mark.parametrize("status", [401, 403, 407])
async def test_a_server_that_lets_nobody_in_is_not_waited_for(status: int) -> None:
    server = Server(refusal(status))
    with pytest.raises(NoAccess, match=rf"\({status}\): look at PREFECT_API_AUTH_STRING"):
        await until_taken(server.write, server.sleep)
    assert server.pauses == []


async def test_a_bug_is_not_waited_out() -> None:
    server = Server(TypeError("not JSON"))
    with pytest.raises(TypeError):
        await until_taken(server.write, server.sleep)
    assert server.pauses == []


def test_a_refusal_can_be_logged_where_nothing_may_end_for_it(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.ERROR)
    with refusals_logged("the table"):
        raise refusal(422)
    assert "Prefect refuses the table: PrefectHTTPStatusError: 422" in caplog.text
    with suppress(KeyboardInterrupt), refusals_logged("the table"):
        raise KeyboardInterrupt
    with suppress(NoAccess), refusals_logged("the table", let_through=(NoAccess,)):
        raise NoAccess
    assert caplog.text.count("Prefect refuses") == 1


async def test_what_a_prefect_client_raises_without_a_server_is_waited_out(
    unused_tcp_port: int,
) -> None:
    nobody = {
        PREFECT_API_URL: f"http://127.0.0.1:{unused_tcp_port}/api",
        PREFECT_CLIENT_MAX_RETRIES: 0,
    }
    paused: list[float] = []

    async def enough(seconds: float) -> None:
        paused.append(seconds)
        raise KeyError

    async def read() -> object:
        async with get_client() as client:
            return await client.read_artifacts()

    with temporary_settings(nobody):
        with pytest.raises(KeyError):
            await until_taken(read, enough)
        with pytest.raises(KeyError), pytest.warns(FutureWarning, match="outside of a flow"):
            await until_taken(lambda: acreate_markdown_artifact("text", key="a-key"), enough)
    assert len(paused) == 2
