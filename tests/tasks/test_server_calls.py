"""A Prefect server that is away, busy, refuses, or lets nobody in."""

import json
import logging
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any
from uuid import uuid4

import httpx
import pytest
from prefect import get_client
from prefect.artifacts import acreate_markdown_artifact
from prefect.client.orchestration import PrefectClient
from prefect.client.schemas.actions import ArtifactUpdate
from prefect.client.schemas.objects import FlowRun
from prefect.exceptions import ObjectNotFound, PrefectHTTPStatusError
from prefect.settings import (
    PREFECT_API_URL,
    PREFECT_CLIENT_CSRF_SUPPORT_ENABLED,
    PREFECT_CLIENT_MAX_RETRIES,
    temporary_settings,
)
from pydantic import ValidationError

from tasks.server_calls import NoAccess, checking_changes, once, refusals_logged, until_taken
from tests.thousandeyes.wire import Answer, Wire, says, sends, wire


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
        *(refusal(status, "<html>") for status in (400, 409, 410, 422)),
        json.JSONDecodeError("a page of a proxy", "<html>", 0),
        UnicodeDecodeError("utf-8", "Größe".encode("latin-1"), 2, 3, "a page of a proxy"),
        httpx.TooManyRedirects("a proxy that has no session of ours"),
        httpx.DecodingError("a page cut off within gzip"),
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
    soon = Server(*[httpx.ConnectError("refused")] * 5)
    await until_taken(soon.write, soon.sleep, longest_pause=5)
    assert soon.pauses == [1, 2, 4, 5, 5], "who must know soon waits no longer than it says"


async def test_who_may_no_longer_write_is_asked_before_each_try() -> None:
    away = Server(*[httpx.ConnectError("refused")] * 8)

    async def confirm() -> None:
        if len(away.pauses) == 2:
            raise KeyError

    with pytest.raises(KeyError):
        await until_taken(away.write, away.sleep, confirm=confirm)
    assert len(away.errors) == 6, "it was tried twice"


@pytest.mark.parametrize(
    ("status", "text"),
    [
        *((status, '{"detail": "why"}') for status in (400, 404, 409, 410, 422)),
        *((status, '{"exception_message": "why"}') for status in (404, 422)),
        (413, "<html>"),
    ],
)
async def test_a_refusal_of_what_the_call_holds_is_not_waited_out(status: int, text: str) -> None:
    server = Server(refusal(status, text))
    with pytest.raises(PrefectHTTPStatusError):
        await until_taken(server.write, server.sleep)
    assert server.pauses == []


@pytest.mark.usefixtures("prefect_server")
@pytest.mark.parametrize(
    ("status", "path", "asked"),
    [
        (400, "/artifacts/filter", {"headers": {"x-prefect-api-version": "none"}}),
        (409, "/variables/", {"json": {"name": "taken", "value": 1}}),
        (422, "/artifacts/", {"json": {"key": 1}}),
    ],
)
async def test_what_prefects_server_refuses_is_known_as_its_own(
    status: int, path: str, asked: dict[str, Any]
) -> None:
    async def ask() -> None:
        async with get_client() as client:
            for _ in range(2):  # the second variable of a name is one too many
                await client._client.post(path, **asked)

    with pytest.raises(PrefectHTTPStatusError) as refused:
        await until_taken(ask, Server().sleep)
    assert refused.value.response.status_code == status


@pytest.mark.parametrize("status", [401, 403, 407])
async def test_a_server_that_lets_nobody_in_is_not_waited_for(status: int) -> None:
    server = Server(refusal(status))
    with pytest.raises(NoAccess, match=rf"\({status}\): check PREFECT_API_AUTH_STRING"):
        await until_taken(server.write, server.sleep)
    assert server.pauses == []
    with pytest.raises(NoAccess):
        await once(Server(refusal(status)).write)


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
    with refusals_logged("it"):
        raise httpx.HTTPError("Client error for url 'http://me:5ecret@prefect/api/artifacts/'")
    assert "HTTPError: Client error for url 'http://prefect/api/artifacts/'" in caplog.text
    with suppress(KeyboardInterrupt), refusals_logged("the table"):
        raise KeyboardInterrupt
    with suppress(NoAccess), refusals_logged("the table", let_through=(NoAccess,)):
        raise NoAccess
    assert caplog.text.count("Prefect refuses") == 2


@contextmanager
def prefect_at(port: int) -> Iterator[None]:
    there = {
        PREFECT_API_URL: f"http://127.0.0.1:{port}/api",
        PREFECT_CLIENT_MAX_RETRIES: 0,
        PREFECT_CLIENT_CSRF_SUPPORT_ENABLED: False,
    }
    with temporary_settings(there):
        yield


async def test_what_a_prefect_client_raises_without_a_server_is_waited_out(
    unused_tcp_port: int,
) -> None:
    paused: list[float] = []

    async def enough(seconds: float) -> None:
        paused.append(seconds)
        raise KeyError

    async def read() -> object:
        async with get_client() as client:
            return await client.read_artifacts()

    with prefect_at(unused_tcp_port):
        with pytest.raises(KeyError):
            await until_taken(read, enough)
        with pytest.raises(KeyError), pytest.warns(FutureWarning, match="outside of a flow"):
            await until_taken(lambda: acreate_markdown_artifact("text", key="a-key"), enough)
    assert len(paused) == 2


def page(body: bytes, status: str = "200 OK", **headers: str) -> Answer:
    lines = [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    head = [f"HTTP/1.1 {status}", f"content-length: {len(body)}", *lines, "", ""]
    return sends("\r\n".join(head).encode() + body)


PAGES = {
    "UTF-8": page("<html>Bitte anmelden: Größe</html>".encode()),
    "Latin-1": page("<html>Bitte anmelden: Größe</html>".encode("latin-1")),
    "no gzip": page(b"<html>", content_encoding="gzip"),
    "a redirect to itself": page(b"", "302 Found", location="/login"),
    "JSON of its own": says('{"error": "maintenance"}'),
}


async def read_artifacts(client: PrefectClient) -> object:
    return await client.read_artifacts()


async def read_flow_run(client: PrefectClient) -> object:
    return await client.read_flow_run(uuid4())


async def update_artifact(client: PrefectClient) -> object:
    await checking_changes(client).update_artifact(uuid4(), ArtifactUpdate(data="[]"))
    return None


async def update_flow_run(client: PrefectClient) -> object:
    return await checking_changes(client).update_flow_run(uuid4(), name="a name")


@pytest.mark.parametrize("of", PAGES)
@pytest.mark.parametrize("call", [read_artifacts, read_flow_run, update_artifact, update_flow_run])
async def test_what_answers_in_place_of_prefects_server_is_waited_out(
    of: str, call: Callable[[PrefectClient], Awaitable[object]]
) -> None:
    async def made() -> None:
        async with get_client() as client:
            await call(client)

    async def enough(_: float) -> None:
        raise KeyError

    async with wire(PAGES[of]) as there:
        with prefect_at(there.port), pytest.raises(KeyError):
            await until_taken(made, enough)


async def change_through(*answers: Answer) -> tuple[list[float], Wire]:
    """Name a flow run, and return the pauses and what the server was sent."""
    pauses: list[float] = []

    async def pause(seconds: float) -> None:
        pauses.append(seconds)

    async def change() -> None:
        async with get_client() as client:
            await update_flow_run(client)

    async with wire(*answers) as there:
        with prefect_at(there.port):
            await until_taken(change, pause)
    return pauses, there


async def test_a_change_counts_when_prefects_server_has_answered_it() -> None:
    taken = page(b"", "204 No Content")
    pauses, there = await change_through(
        PAGES["UTF-8"], page(b"", "302 Found", location="/login"), page(b""), taken
    )
    assert pauses == [1, 2]
    methods = [request.partition(" /")[0].rpartition("}")[2] for request in there.requests]
    assert methods == ["PATCH", "PATCH", "GET", "PATCH"]


@pytest.mark.parametrize("status", ["200 OK", "202 Accepted"])
async def test_a_change_counts_also_where_a_gateway_has_made_another_status_of_its_answer(
    status: str,
) -> None:
    pauses, there = await change_through(page(b"", status), page(b"", "204 No Content"))
    assert (pauses, len(there.requests)) == ([], 1)


async def test_a_change_may_be_led_to_another_address_as_it_is() -> None:
    moved = page(b"", "308 Permanent Redirect", location="/elsewhere")
    pauses, there = await change_through(moved, page(b"", "204 No Content"))
    assert (pauses, len(there.requests)) == ([], 2)


async def test_a_value_that_the_project_finds_wrong_is_not_waited_for() -> None:
    async def read() -> object:
        return FlowRun.model_validate({})

    server = Server()
    with pytest.raises(ValidationError):
        await until_taken(read, server.sleep)
    assert server.pauses == []


async def test_a_value_that_prefects_client_can_not_send_is_not_waited_for() -> None:
    server = Server()
    with prefect_at(1):
        async with get_client() as client:
            with pytest.raises(ValidationError, match="idempotency_key"):
                await until_taken(
                    lambda: client.create_flow_run_from_deployment(
                        uuid4(),
                        idempotency_key=7,  # type: ignore[arg-type]
                    ),
                    server.sleep,
                )
    assert server.pauses == []


async def test_an_answer_that_stays_unreadable_is_told_field_by_field_and_raised_within_minutes(
    caplog: pytest.LogCaptureFixture,
) -> None:
    server = Server(httpx.ConnectError("refused"))

    async def read() -> object:
        await server.write()
        async with get_client() as client:
            return await read_flow_run(client)

    async with wire(PAGES["JSON of its own"]) as there:
        with prefect_at(there.port), pytest.raises(ValidationError):
            await until_taken(read, server.sleep)
    assert 240 < sum(server.pauses) <= 302
    assert "can't read: flow_id: Field required" in caplog.text
