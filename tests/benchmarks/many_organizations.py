"""What many organizations take that one run starts: of the server, of two workers, of their quotas.

Each has a quota, a latency and faults of its own. The Prefect server stands on PostgreSQL. `rate`
is the sum of the organizations' rates against the sum of the rates that their quotas allow, from an
organization's first rerun to its last, and `least / took` the same of the seconds; `organizations`
tells how these are found. Only tests that fill more than one window have a rate. `at once` is what
the server says of the runs, looked at every two seconds. Memory and CPU are those of the processes
that a worker starts for runs.
"""

import asyncio
import os
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

import asyncpg
from prefect import get_client
from prefect.client.schemas.filters import (
    DeploymentFilter,
    DeploymentFilterId,
    FlowRunFilter,
    FlowRunFilterParentFlowRunId,
    FlowRunFilterState,
    FlowRunFilterStateType,
)
from prefect.client.schemas.objects import StateType
from prefect.deployments import arun_deployment
from rich.console import Console

from tasks.artifacts import read_outcomes
from tasks.blocks import EndpointTestGroup, ThousandEyesCredentials
from tests.benchmarks.organizations import bootstrapped, pace
from tests.benchmarks.report import table
from tests.benchmarks.resources import command_of, cpu_seconds, family, memory_mb
from tests.deployments.scene import client_of, simulated
from tests.deployments.topology import Database, Topology, on_postgresql

REPEAT: Final = 1

_QUOTAS: Final = (4, 5, 6)
_LATENCIES: Final = (0.05, 0.2, 0.4)
_FAULTS: Final = (None, 503, "dropped_before", "dropped_after")
"""What the first call of an organization's second test gets."""
_LOOK: Final = 2.0
_TELL: Final = 15  # looks


@dataclass(frozen=True)
class Sizes:
    """How much of everything there is."""

    organizations: int = 20
    tests: int = 12
    """Of each organization."""
    workers: int = 2
    at_once: int = 8
    """The limit of the work queue of their runs."""
    quota: int = 0
    """Reruns that each organization may make in a window; 0: about 24 a minute."""
    seconds: int = 10
    """A window's length."""


@dataclass
class _Seen:
    """What was seen while the runs went on."""

    at_once: int = 0
    processes: int = 0
    largest_mb: float = 0.0
    together_mb: float = 0.0
    load: list[float] = field(default_factory=list)


def benchmark(console: Console, repeat: int, *, quick: bool, sizes: Sizes) -> None:
    """Run them all and print what they took."""
    if quick:
        sizes = replace(sizes, organizations=min(sizes.organizations, 4))
    shown = table(
        f"many organizations: {sizes.organizations} of {sizes.tests} tests each, "
        f"{sizes.at_once} at once, {sizes.workers} workers",
        *("what", "figure"),
    )
    for _ in range(repeat):
        with tempfile.TemporaryDirectory(prefix="many-organizations-") as directory:
            for what, figure in asyncio.run(_run(Path(directory), sizes)).items():
                shown.add_row(what, figure)
        shown.add_section()
    console.print(shown)


async def _run(directory: Path, sizes: Sizes) -> dict[str, str]:
    async with AsyncExitStack() as stack:
        database = stack.enter_context(Database())
        topology = stack.enter_context(on_postgresql(directory, database))
        bootstrapped(topology)
        simulators = []
        groups = []
        stack.enter_context(client_of(topology))
        for n in range(sizes.organizations):
            simulator, env = stack.enter_context(simulated(**_organization(n, sizes)))
            block = {"token": f"token-of-{n}", "base_url": env["TE_BASE_URL"]}
            await ThousandEyesCredentials.model_validate(block).save(f"organization-{n}")
            group = EndpointTestGroup(test_ids=simulator.test_ids, credentials=f"organization-{n}")
            await group.save(f"group-{n}")
            simulators.append(simulator)
            groups.append(f"group-{n}")
        async with get_client() as client:
            queue = await client.read_work_queue_by_name("organizations", "thousandeyes")
            await client.update_work_queue(queue.id, concurrency_limit=sizes.at_once)
        for n in range(sizes.workers):
            await asyncio.to_thread(stack.enter_context, topology.worker(f"worker-{n}"))
        before = _cpu(topology, database), await _database_bytes(database)
        began = time.monotonic()
        flow_run = await arun_deployment(
            "rerun-organizations/organizations", parameters={"groups": groups}, timeout=0
        )
        seen, sentence = await _watch(flow_run.id, simulators)
        took = time.monotonic() - began
        cpu = {who: spent - before[0][who] for who, spent in _cpu(topology, database).items()}
        grown = await _database_bytes(database) - before[1]
        async with get_client() as client:
            children = await client.read_flow_runs(
                flow_run_filter=FlowRunFilter(
                    parent_flow_run_id=FlowRunFilterParentFlowRunId(any_=[flow_run.id])
                )
            )
        records = await read_outcomes([run.id for run in children])
    tests = sizes.organizations * sizes.tests
    return {
        "how it ended": sentence,
        **_outcomes(simulators, records),
        "seconds": f"{took:.0f}",
        "load of the machine": f"{min(seen.load):.1f} to {max(seen.load):.1f}",
        "runs at once, at most": str(seen.at_once),
        "processes of runs, at most": str(seen.processes),
        "memory of the largest": f"{seen.largest_mb:.0f} MB",
        "memory of all, at most": f"{seen.together_mb:.0f} MB",
        **{f"CPU of {who}": _each(spent, sizes) for who, spent in cpu.items()},
        "database": f"{grown / 1e6:.1f} MB, {grown / tests / 1e3:.1f} kB a test",
    }


def _organization(n: int, sizes: Sizes) -> dict[str, Any]:
    """Return the options of an organization's simulator."""
    ids = [f"{n}-{each}" for each in range(sizes.tests)]
    fault = _FAULTS[n % len(_FAULTS)]
    limit = sizes.quota or _QUOTAS[n % len(_QUOTAS)] * sizes.seconds // 10
    return {
        "tests": ids,
        "token": f"token-of-{n}",
        "window_seconds": float(sizes.seconds),
        "instant_limit": limit,
        "organization_limit": 10 * limit,
        "latency_seconds": _LATENCIES[n % len(_LATENCIES)],
        "faults": {ids[1]: {"replies": [fault]}} if fault and sizes.tests > 1 else {},
    }


def _outcomes(simulators: list[Any], records: list[Any]) -> dict[str, str]:
    """Say what came of the tests, by the simulators and by the records."""
    applied = Counter(c.test_id for each in simulators for c in each.calls if c.applied)
    calls = [call for each in simulators for call in each.calls]
    paces = [pace(each) for each in simulators]
    rated = [(len(s.test_ids), *p) for s, p in zip(simulators, paces, strict=True) if p[0]]
    rates = sum(tests / took for tests, _, took in rated)
    ideals = sum(tests / least for tests, least, _ in rated)
    least, took = (sum(each[n] for each in rated) for n in (1, 2))
    twice = {test_id for test_id, count in applied.items() if count > 1}
    told = {record.test_id for record in records if record.maybe_duplicate}
    outcomes = Counter(str(record.outcome.value) for record in records)
    total = sum(len(each.test_ids) for each in simulators)
    return {
        "outcomes": f"{dict(outcomes)} of {total}",
        "recorded": str(len({record.test_id for record in records})),
        "run twice": f"{len(twice)}, of which told: {len(twice & told)}",
        "calls of the API a test": f"{len(calls) / total:.2f}",
        "429s": str(sum(call.status == 429 for call in calls)),
        "rate": f"{rates / ideals:.3f} of {ideals:.1f} tests/s" if rated else "one window each",
        "least / took": f"{least / took:.3f} of {took:.0f} s" if rated else "one window each",
    }


async def _watch(flow_run_id: Any, simulators: list[Any]) -> tuple[_Seen, str]:
    """Look on until a run has ended; return what was seen, and the run's sentence."""
    seen = _Seen()
    async with get_client() as client:
        there = await client.read_deployment_by_name("rerun-endpoint-tests/on-demand")
        ours = DeploymentFilter(id=DeploymentFilterId(any_=[there.id]))
        busy = [StateType.PENDING, StateType.RUNNING]
        occupied = FlowRunFilter(state=FlowRunFilterState(type=FlowRunFilterStateType(any_=busy)))
        while True:
            runs = await client.read_flow_runs(deployment_filter=ours, flow_run_filter=occupied)
            megabytes = [memory_mb(each) for each in _processes_of_runs()]
            seen.at_once = max(seen.at_once, len(runs))
            seen.processes = max(seen.processes, len(megabytes))
            seen.largest_mb = max([seen.largest_mb, *megabytes])
            seen.together_mb = max(seen.together_mb, sum(megabytes))
            seen.load.append(os.getloadavg()[0])
            if len(seen.load) % _TELL == 0:
                begun = sum(bool(each.calls) for each in simulators)
                print(f"{begun} of {len(simulators)} have begun", file=sys.stderr)  # noqa: T201
            state = (await client.read_flow_run(flow_run_id)).state
            if state and state.is_final():
                return seen, str(state.message)[:90]
            await asyncio.sleep(_LOOK)


def _workers() -> Iterator[int]:
    for each in family(os.getpid()):
        if "worker start" in command_of(each):
            yield each


def _processes_of_runs() -> list[int]:
    return [each for worker in _workers() for each in family(worker)[1:]]


def _cpu(topology: Topology, database: Database) -> dict[str, float]:
    return {
        "the server": cpu_seconds(topology.process_id),
        "PostgreSQL": cpu_seconds(database.process_id),
        "workers and runs": sum(map(cpu_seconds, _workers())),
    }


def _each(seconds: float, sizes: Sizes) -> str:
    an_organization = seconds / sizes.organizations
    a_test = an_organization / sizes.tests * 1000
    return f"{seconds:.0f} s, {an_organization:.1f} s an organization, {a_test:.0f} ms a test"


async def _database_bytes(database: Database) -> int:
    connection = await asyncpg.connect(database.url.replace("+asyncpg", ""))
    try:
        return int(await connection.fetchval("SELECT pg_database_size(current_database())"))
    finally:
        await connection.close()
