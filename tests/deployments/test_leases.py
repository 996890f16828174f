"""A run under a concurrency limit goes on when its Prefect server was restarted."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest
from prefect import get_client
from prefect.deployments import arun_deployment

from tests.benchmarks.processes import free_port
from tests.deployments.scene import client_of, simulated
from tests.deployments.topology import Topology

pytestmark = pytest.mark.servers

# Seconds, instead of 300; Prefect takes no less.
SHORT_LEASES = {"PREFECT_SERVER_CONCURRENCY_INITIAL_DEPLOYMENT_LEASE_DURATION": "30"}


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Topology]:
    with Topology(tmp_path, free_port(), settings=SHORT_LEASES) as topology:
        done = topology.run("deployments.bootstrap", cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        with client_of(topology):
            yield topology


async def test_a_limited_run_outlives_a_restart_by_more_than_a_lease(server: Topology) -> None:
    # More than 70 s of calls.
    test_ids = [str(202700 + number) for number in range(24)]
    options = {"max_in_flight": 1}
    with (
        simulated(tests=test_ids, latency_seconds=3.0) as (simulator, env),
        server.worker("north", **env),
    ):
        run = await arun_deployment(
            "rerun-endpoint-tests/scheduled",
            parameters={"test_ids": test_ids, "groups": [], "options": options},
            timeout=0,
        )
        while len(simulator.calls) < 4:  # noqa: ASYNC110 - another process's
            await asyncio.sleep(0.1)
        await asyncio.to_thread(server.stop)
        await asyncio.to_thread(server.start)
        async with asyncio.timeout(180), get_client() as client:
            state = None
            while not state or not state.is_final():
                await asyncio.sleep(0.5)
                state = (await client.read_flow_run(run.id)).state
    assert state.is_completed(), state.message
    assert state.message == f"{len(test_ids)} of {len(test_ids)} tests accepted."
