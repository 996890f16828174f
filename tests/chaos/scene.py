"""Where faults happen: a Prefect server, a simulator, and runs in processes of their own."""

import asyncio
import os
import random
import signal
import sys
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any, Final, Self
from uuid import UUID, uuid4

from prefect import get_client
from prefect.states import Cancelling, Scheduled

from flows.rerun import rerun_endpoint_tests
from flows.runs.history import recorded
from tests.chaos.judge import Judgement
from tests.chaos.proxy import Proxy
from tests.deployments.scene import simulated
from tests.deployments.topology import TOKEN, Topology
from tests.flows.scene import WHERE_IT_IS
from thousandeyes.delivery import Delivery
from thousandeyes.record import Record
from thousandeyes.simulator import Simulator

LONGEST: Final = 300.0
"""Seconds after which a run that does not end counts as stuck."""
QUICK: Final = {"results_deadline_minutes": 0.02}


class Stuck(Exception):
    """Something that had to happen did not; the message says what."""


class Trial:
    """One run of `rerun-endpoint-tests`, the API that it calls and the processes that execute it.

    Args:
        topology: The Prefect server.
        simulator: What the API received.
        prefect: Stands before the Prefect server.
        api: Stands before the simulator.
        test_ids: The tests that are to run.
        options: The run's options.
    """

    def __init__(
        self,
        topology: Topology,
        simulator: Simulator,
        prefect: Proxy,
        api: Proxy,
        test_ids: list[str],
        options: dict[str, Any],
    ) -> None:
        self.topology, self.simulator = topology, simulator
        self.prefect, self.api = prefect, api
        self.test_ids = test_ids
        self._options = options
        self._mended_at: float | None = None
        self._processes: list[asyncio.subprocess.Process] = []

    def share(self, test_ids: list[str]) -> Self:
        """Return another run's trial, of these tests, on the same API."""
        return type(self)(
            self.topology, self.simulator, self.prefect, self.api, test_ids, self._options
        )

    async def begin(self, *, limits: str = "", **variables: str) -> Self:
        """Create the flow run, and start a process that executes it; see `execute`."""
        async with get_client() as client:
            flow_id = await client.create_flow(rerun_endpoint_tests)
            deployment_id = await client.create_deployment(
                flow_id,
                name=f"chaos-{uuid4().hex[:8]}",
                entrypoint="flows.rerun.rerun_endpoint_tests",
                pull_steps=WHERE_IT_IS,
            )
            parameters = {"test_ids": self.test_ids, "options": self._options}
            flow_run = await client.create_flow_run_from_deployment(
                deployment_id, parameters=parameters
            )
        self.flow_run_id: UUID = flow_run.id
        await self.execute(limits=limits, **variables)
        return self

    async def execute(self, *, limits: str = "", **variables: str) -> None:
        """Start a process that executes the run.

        Args:
            limits: What the shell's `ulimit` is to hold it to.
            variables: What stands in its environment, besides what every run has there.
        """
        # Not `prefect flow-run execute`: that starts this in a session that no signal here reaches.
        command = f'exec "{sys.executable}" -m prefect.engine {self.flow_run_id}'
        self.log = self.topology.directory / f"run-{self.flow_run_id}-{len(self._processes)}.log"
        variables = {
            "TE_TOKEN": TOKEN,
            "TE_BASE_URL": self.api.url,
            "PREFECT_API_URL": self.prefect.url,
        } | variables
        with self.log.open("wb") as log:
            process = await asyncio.create_subprocess_exec(
                *("bash", "-c", f"ulimit {limits} && {command}" if limits else command),
                cwd=self.topology.directory,
                env=self.topology.environment(**variables),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=asyncio.subprocess.STDOUT,
                start_new_session=True,
            )
        self._processes.append(process)

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the run's newest process."""
        os.killpg(self._processes[-1].pid, number)

    @property
    def newest(self) -> asyncio.subprocess.Process:
        """The run's newest process."""
        return self._processes[-1]

    @staticmethod
    def wake(process: asyncio.subprocess.Process) -> None:
        """Let a process go on that SIGSTOP had frozen."""
        os.killpg(process.pid, signal.SIGCONT)

    async def kill(self) -> None:
        """End the run's newest process, which gets no chance to do anything about it."""
        self.signal(signal.SIGKILL)
        await self._processes[-1].wait()

    async def resume(self, **variables: str) -> None:
        """Execute the run again, as its restart does; see `execute`."""
        async with get_client() as client:
            await client.set_flow_run_state(self.flow_run_id, Scheduled(), force=True)
        self.mended()
        await self.execute(**variables)

    async def cancel(self) -> None:
        """Ask for the run's end, as the API and the UI do."""
        async with get_client() as client:
            await client.set_flow_run_state(self.flow_run_id, Cancelling(), force=True)

    def mended(self) -> None:
        """Note that the fault is over from now on."""
        self._mended_at = time.time()

    @property
    def ran(self) -> int:
        """How many calls the API carried out."""
        return sum(call.applied for call in self.simulator.calls)

    async def after(self, calls: int) -> None:
        """Return when the API has carried out so many calls."""
        await until(lambda: self.ran >= calls or self._over, f"{calls} calls carried out")

    async def ended(self, seconds: float = LONGEST) -> None:
        """Return when the run's newest process has ended."""
        await until(lambda: self._over, "the end of the run's process", seconds)

    @property
    def _over(self) -> bool:
        return self._processes[-1].returncode is not None

    async def records(self) -> Mapping[str, Record]:
        """Return what the run has recorded, by test ID."""
        async with get_client() as client:
            return await recorded(await client.read_flow_run(self.flow_run_id))

    async def judge(self, note: str = "") -> Judgement:
        """Hold what the API received against what the run recorded."""
        delivery = Delivery(self._options.get("delivery", Delivery.AT_LEAST_ONCE))
        known = await self.records()
        calls = self.simulator.calls
        return Judgement.of(self.test_ids, calls, known, delivery, self._mended_at, note=note)

    async def close(self) -> None:
        """End what is left of the run's processes."""
        for process in self._processes:
            if process.returncode is None:
                os.killpg(process.pid, signal.SIGKILL)
                await process.wait()


class Stage:
    """Sets up trials on one Prefect server, one after the other.

    Args:
        topology: The Prefect server.
        random: Chooses the moments.
    """

    def __init__(self, topology: Topology, random: random.Random) -> None:
        self.topology, self.random = topology, random

    @asynccontextmanager
    async def trial(
        self,
        tests: int = 30,
        *,
        latency_seconds: float = 0.1,
        simulator: dict[str, Any] | None = None,
        **options: Any,
    ) -> AsyncIterator[Trial]:
        """Set up a run of so many tests that has not begun; at the end nothing is left of it."""
        async with AsyncExitStack() as stack:
            test_ids = [str(202_701 + number) for number in range(tests)]
            api, address = stack.enter_context(
                simulated(tests=test_ids, latency_seconds=latency_seconds, **(simulator or {}))
            )
            there = await stack.enter_async_context(Proxy(address["TE_BASE_URL"]))
            prefect = await stack.enter_async_context(Proxy(f"{self.topology.url}/api"))
            chosen = {"max_in_flight": 4} | QUICK | options
            trial = Trial(self.topology, api, prefect, there, test_ids, chosen)
            stack.push_async_callback(trial.close)
            yield trial

    def moment(self, tests: int = 30) -> int:
        """Choose after which call something happens."""
        return self.random.randrange(1, tests - 2)


async def until(condition: Callable[[], bool], what: str, seconds: float = LONGEST) -> None:
    """Return when a condition holds.

    Raises:
        Stuck: It did not in so many seconds.
    """
    try:
        async with asyncio.timeout(seconds):
            while not condition():  # noqa: ASYNC110 - other processes see to it
                await asyncio.sleep(0.02)
    except TimeoutError:
        raise Stuck(f"waited {seconds:.0f} s in vain for {what}") from None
