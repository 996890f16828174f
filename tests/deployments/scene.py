"""What the deployments' tests look at: a server as its clients see it, and a simulator."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Iterator
from typing import Any, Final

from prefect import get_client
from prefect.client.schemas.objects import FlowRun
from prefect.settings import (
    PREFECT_API_AUTH_STRING,
    PREFECT_API_URL,
    temporary_settings,
)

from tests.deployments.topology import TOKEN, Topology
from thousandeyes.simulator import create_app, serve

PLENTY: Final = {"instant_limit": 100_000, "organization_limit": 1_000_000}


@contextlib.contextmanager
def client_of(topology: Topology) -> Iterator[None]:
    """Make this process a client of a server."""
    with temporary_settings(
        {PREFECT_API_URL: f"{topology.url}/api", PREFECT_API_AUTH_STRING: topology.auth}
    ):
        yield


@contextlib.contextmanager
def simulated(**options: Any) -> Iterator[tuple[Any, dict[str, str]]]:
    """Serve a simulator; yields it, and what a worker needs in its environment to use it."""
    app = create_app(**{"token": TOKEN} | PLENTY | options)
    with serve(app, port=0) as server:
        yield app.state.simulator, {"TE_TOKEN": TOKEN, "TE_BASE_URL": server.url}


async def until(condition: Callable[[], Awaitable[Any]], seconds: float = 90) -> Any:
    """Wait until a condition returns something, and return it; the time bounds what would hang."""
    async with asyncio.timeout(seconds):
        while not (found := await condition()):
            await asyncio.sleep(0.3)
        return found


async def run_of(deployment: str) -> FlowRun:
    """Wait until a deployment has a run that came to its own end; return it."""

    async def ended() -> FlowRun | None:
        async with get_client() as client:
            there = await client.read_deployment_by_name(deployment)
            runs = await client.read_flow_runs()
        for run in runs:
            ended = run.state and (run.state.is_completed() or run.state.is_failed())
            if run.deployment_id == there.id and ended:
                return run
        return None

    found: FlowRun = await until(ended)
    return found
