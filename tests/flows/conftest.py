"""What the flows' tests share: a simulator, and quick retries."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import Any

import httpx
import prefect.client.base
import pytest
from prefect.client.base import PrefectHttpxAsyncClient, PrefectResponse
from prefect.context import FlowRunContext

from tasks import server_calls
from tasks.create import create_endpoint_test, list_endpoint_tests
from tasks.rerun import rerun_endpoint_test
from thousandeyes import watch
from thousandeyes.simulator import Simulator, create_app, serve

FIRST_RETRY = 2
"""Seconds before Prefect's client tries again; then twice as many each time."""
TOKEN = "tkn-5ecret-0f-the-tests"


@contextmanager
def _simulating(patch: pytest.MonkeyPatch) -> Iterator[Callable[..., Simulator]]:
    patch.setattr(watch, "FIRST_POLL", 0.5)
    patch.setattr(watch, "GAPS", (0.3, 0.5))
    patch.setattr(watch, "TOGETHER", 0.2)
    with ExitStack() as stack:

        def start(**options: Any) -> Simulator:
            plenty = {"instant_limit": 100_000, "organization_limit": 1_000_000}
            app = create_app(**{"token": TOKEN} | plenty | options)
            server = stack.enter_context(serve(app, port=0))
            patch.setenv("TE_TOKEN", TOKEN)
            patch.setenv("TE_BASE_URL", server.url)
            simulator: Simulator = app.state.simulator
            return simulator

        yield start


@pytest.fixture
def simulate(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Simulator]]:
    """Serve a simulator with the given options and point the settings at it.

    Its quotas are out of the way unless a test asks for them, and results are looked for soon.
    """
    with _simulating(monkeypatch) as start:
        yield start


@pytest.fixture(scope="session")
def scene(
    tmp_path_factory: pytest.TempPathFactory,
) -> Callable[[], AbstractContextManager[Callable[..., Simulator]]]:
    """Let a fixture play a scene that several tests then look at, as each test plays its own."""

    @contextmanager
    def play() -> Iterator[Callable[..., Simulator]]:
        with pytest.MonkeyPatch.context() as patch:
            patch.chdir(tmp_path_factory.mktemp("scene"))
            patch.setattr("thousandeyes.redaction._tokens", {})
            _retry_soon(patch)
            with _simulating(patch) as start:
                yield start

    return play


@pytest.fixture(params=["refused", "not found"])
def read_twice(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """Let a flow find the Prefect server away at the first try of whatever it reads there.

    That is a refused connection, as Prefect's client raises it after a minute of tries of its own,
    or a proxy's page. The runs that Prefect's engine reads are spared. Returns what was read.
    """
    page = request.param == "not found"
    read: set[str] = set()
    send: Callable[..., Any] = PrefectHttpxAsyncClient.send

    async def away(self: Any, request: httpx.Request, **rest: Any) -> Any:
        path = request.url.path
        engines = "/flow_runs/" in path and not path.endswith("/filter")
        reads = request.method == "GET" or path.endswith("/filter")
        call = f"{request.method} {path} {request.content.decode()}"
        if engines or not reads or not FlowRunContext.get() or call in read:
            return await send(self, request, **rest)
        read.add(call)
        if page:
            answer = httpx.Response(404, text="404 page not found\n", request=request)
            PrefectResponse.from_httpx_response(answer).raise_for_status()
        raise httpx.ConnectError("All connection attempts failed", request=request)

    monkeypatch.setattr(PrefectHttpxAsyncClient, "send", away)
    monkeypatch.setattr(server_calls, "_FIRST_PAUSE", 0.01)
    return read


def _retry_soon(patch: pytest.MonkeyPatch) -> None:
    """Wait less before a retry of ours, and before the first one of Prefect's client.

    A Prefect server on SQLite answers 503 where two writes meet, and the client tries again after
    two seconds: of the requests that change a block while a run goes on, one in five at least.
    """
    patch.setattr(
        prefect.client.base,
        "clamped_poisson_interval",
        lambda seconds, _: seconds if seconds > FIRST_RETRY else seconds / 20,
    )
    for task in (rerun_endpoint_test, create_endpoint_test, list_endpoint_tests):
        patch.setattr(task, "retry_delay_seconds", [0.01])


@pytest.fixture(autouse=True)
def _quick_retries(monkeypatch: pytest.MonkeyPatch) -> None:
    _retry_soon(monkeypatch)
