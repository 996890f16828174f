"""A command says why it can't work with the Prefect server, whatever Prefect makes of that."""

import json
import re
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread

import httpx
import pytest
from prefect import get_client
from prefect.settings import (
    PREFECT_API_URL,
    PREFECT_CLIENT_MAX_RETRIES,
    temporary_settings,
)

from tasks.unreachable import why_unreachable


@pytest.fixture(scope="module")
def page() -> Iterator[str]:
    """Serve a page with the status that is the first part of its path; returns the address."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(int(self.path.split("/")[1]))
            self.send_header("content-length", "6")
            self.end_headers()
            self.wfile.write(b"<html>")

        def log_message(self, *_: object) -> None: ...

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        Thread(target=server.serve_forever, args=[0.05], daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.mark.parametrize(
    ("status", "said"),
    [
        (200, r"no Prefect server answers at {} \(Expecting value.*\): is it running, and"),
        (404, r"no Prefect server answers at {} \(Client error '404 [^\n]*\): is it running, and"),
        (401, "the Prefect server at {} asks for a password: set PREFECT_API_AUTH_STRING to"),
    ],
)
async def test_what_answers_but_is_not_an_open_prefect_server_is_told_with_what_to_do(
    page: str, status: int, said: str
) -> None:
    url = f"{page}/{status}/api"
    with temporary_settings({PREFECT_API_URL: url, PREFECT_CLIENT_MAX_RETRIES: 0}):
        with pytest.raises((RuntimeError, httpx.HTTPStatusError)) as caught:
            async with get_client() as client:
                # As Prefect does it by itself outside of tests.
                await client.raise_for_api_version_mismatch()
        assert re.match(said.format(url), why_unreachable(caught.value) or "")


async def test_a_page_in_place_of_an_answer_is_told_too(page: str) -> None:
    url = f"{page}/200/api"
    with temporary_settings({PREFECT_API_URL: url, PREFECT_CLIENT_MAX_RETRIES: 0}):
        async with get_client() as client:
            with pytest.raises(json.JSONDecodeError) as caught:
                await client.read_work_pool("thousandeyes")
        assert f"answers at {url} (Expecting" in str(why_unreachable(caught.value))


@pytest.mark.parametrize(
    "error",
    [
        httpx.DecodingError("incorrect header check"),
        httpx.TooManyRedirects("Exceeded maximum allowed redirects."),
        UnicodeDecodeError("utf-8", b"\xff", 0, 1, "invalid start byte"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_an_answer_that_can_not_be_read_is_none_of_a_prefect_server(error: Exception) -> None:
    assert str(why_unreachable(error)).startswith("no Prefect server answers at ")


@pytest.mark.parametrize("error", [RuntimeError("else"), ValueError("Failed to reach API at x")])
def test_any_other_error_is_left_to_the_caller(error: Exception) -> None:
    assert why_unreachable(error) is None
