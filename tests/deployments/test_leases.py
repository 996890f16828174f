"""A run under a concurrency limit continues when its Prefect server was unreachable."""

import asyncio
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final
from uuid import UUID, uuid4

import pytest
from prefect import get_client
from prefect.client.schemas.objects import State
from prefect.server.concurrency.lease_storage import ConcurrencyLimitLeaseMetadata, filesystem
from prefect.server.utilities.leasing import ResourceLease

from deployments.leases import ConcurrencyLeaseStorage
from tests.benchmarks.processes import free_port
from tests.deployments.scene import client_of, simulated, start, until
from tests.deployments.topology import Topology

pytestmark = pytest.mark.servers

Lease = ResourceLease[ConcurrencyLimitLeaseMetadata]
UNREACHABLE: Final = timedelta(minutes=8)
"""As long as a run waits for its server, with the retries that the docs tell to set."""
# Prefect's runs renew their leases every 225 s, and no setting of theirs makes that shorter.
OFTEN: Final = "from prefect.concurrency import _leases\n_leases._RENEWAL_FRACTION = 0.01\n"


@pytest.fixture
def server(tmp_path: Path, prefect_database: Path) -> Iterator[Topology]:
    (tmp_path / "home").mkdir()
    shutil.copy(prefect_database, tmp_path / "home" / "prefect.db")
    with Topology(tmp_path, free_port()) as topology:
        done = topology.run("deployments.bootstrap", cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        with client_of(topology):
            yield topology


async def held(on_disk: filesystem.ConcurrencyLeaseStorage) -> Lease | None:
    """Return the one lease that is on disk and has not ended, if there is one."""
    ids = await on_disk.read_active_lease_ids()
    return await on_disk.read_lease(ids[0]) if ids else None


async def state_of(flow_run_id: UUID) -> State[Any]:
    async with get_client() as client:
        state = (await client.read_flow_run(flow_run_id)).state
    assert state
    return state


async def test_a_lease_outlives_an_unreachable_server_also_before_it_is_first_renewed(
    tmp_path: Path,
) -> None:
    leases = ConcurrencyLeaseStorage(tmp_path)
    asked = datetime.now(UTC) + timedelta(minutes=5)
    lease = await leases.create_lease([uuid4()], timedelta(minutes=5))
    assert lease.expiration >= asked + UNREACHABLE
    assert await leases.renew_lease(lease.id, timedelta(minutes=5))
    renewed = await leases.read_lease(lease.id)
    assert renewed
    assert renewed.expiration >= asked + UNREACHABLE


async def test_a_limited_run_outlives_a_server_that_is_unreachable_for_longer_than_its_lease(
    server: Topology, tmp_path: Path
) -> None:
    (tmp_path / "often").mkdir()
    (tmp_path / "often" / "sitecustomize.py").write_text(OFTEN)
    on_disk = filesystem.ConcurrencyLeaseStorage(tmp_path / "home" / "concurrency_leases")
    test_ids = [str(202700 + number) for number in range(60)]
    with (
        simulated(tests=test_ids, latency_seconds=2.0) as (simulator, env),
        server.worker("north", PYTHONPATH=str(tmp_path / "often"), **env),
    ):
        run = await start(
            "rerun-endpoint-tests/scheduled",
            {"test_ids": test_ids, "groups": [], "options": {"max_in_flight": 1}},
        )
        while len(simulator.calls) < 2:  # noqa: ASYNC110 - another process's
            await asyncio.sleep(0.1)
        await asyncio.to_thread(server.stop)
        if lease := await held(on_disk):
            left = lease.expiration - datetime.now(UTC)
            await on_disk.renew_lease(lease.id, left - UNREACHABLE)
        before = await held(on_disk)
        await asyncio.to_thread(server.start)

        async def renewed_or_lost() -> bool:
            now = await held(on_disk)
            renewed = before and now and now.expiration > before.expiration
            return bool(renewed) or (await state_of(run.id)).is_final()

        async def final() -> State[Any] | None:
            state = await state_of(run.id)
            return state if state.is_final() else None

        await until(renewed_or_lost)
        simulator.options = simulator.options.model_copy(update={"latency_seconds": 0.0})
        state = await until(final)
    assert state.is_completed(), state.message
    assert state.message == f"{len(test_ids)} of {len(test_ids)} tests accepted."
