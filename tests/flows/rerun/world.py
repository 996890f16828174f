"""A whole run's calls and results on the virtual clock: all real but the sockets and Prefect."""

import asyncio
import json
import logging
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from types import MappingProxyType
from typing import Any, Literal
from uuid import uuid4

import httpx
from prefect.client.schemas.objects import FlowRun

from flows.rerun import RerunOptions
from flows.rerun.baseline import Baseline
from flows.rerun.failing_paths import FailingPaths
from flows.rerun.judging import Judging
from flows.rerun.later_runs import Others, OthersOf
from flows.rerun.looking_up import look_up
from flows.rerun.plan import plan
from flows.rerun.reading_again import ReadingAgain
from flows.rerun.run import Run
from flows.runs.history import Died
from flows.runs.ownership import OwnRun
from flows.runs.recording import Artifacts
from flows.runs.sending import Sending
from tests.thousandeyes.virtual_time import run
from thousandeyes.calls import BeforeSending, BeforeWaiting
from thousandeyes.client import ThousandEyesClient
from thousandeyes.delivery import Delivery, may_send_again
from thousandeyes.errors import CallFailed
from thousandeyes.families import Family
from thousandeyes.gate import QuotaGate
from thousandeyes.record import Record
from thousandeyes.settings import ThousandEyesSettings
from thousandeyes.simulator import Call, Simulator, create_app
from thousandeyes.simulator.definitions import new_test
from thousandeyes.thresholds import Thresholds

NOON = 1_800_000_000.0


class World:
    """A simulator on the virtual clock, and what runs against it.

    `skew` is how far the server's clock is ahead, `starts_at` when our own stands at the start.
    """

    def __init__(self, *, starts_at: float = NOON, skew: float = 0.0, **options: Any) -> None:
        self._loop_time: Callable[[], float] = lambda: 0.0
        self.starts_at = starts_at
        self.app = create_app(
            clock=lambda: self.clock() + skew,
            **{"healthy": True, "latency_seconds": 0.05} | options,
        )
        self.simulator: Simulator = self.app.state.simulator
        self.known: list[str] = []
        self.took = 0.0
        self.stopped: str | None = None
        self.plan = ""

    def clock(self) -> float:
        return self.starts_at + self._loop_time()

    @property
    def result_calls(self) -> list[Call]:
        return [call for call in self.simulator.calls if "/test-results/" in call.path]

    @property
    def path_calls(self) -> list[Call]:
        return [call for call in self.simulator.calls if "/path-vis/" in call.path]

    @property
    def agent_calls(self) -> list[Call]:
        return [call for call in self.simulator.calls if "/agents" in call.path]

    def add(self, kind: Literal["agent-to-server", "http-server"], **settings: Any) -> str:
        """Add a test as a creation does, and return its ID; it has not run."""
        test_id, rng = self.simulator.new_id()
        fields = {"testName": "New", "agentSelectorType": "specific-agents", **settings}
        body = json.dumps(fields).encode()
        self.simulator.add(new_test(kind, body, test_id, rng, self.starts_at))
        return test_id

    def rerun(
        self,
        test_ids: Iterable[str] | None = None,
        of_its_own: Mapping[str, Thresholds] = MappingProxyType({}),
        **options: Any,
    ) -> dict[str, Record]:
        """Rerun tests as the flow does, from the start to the last result."""
        records = [Record(test_id) for test_id in test_ids or self.simulator.test_ids]
        run(self.execute(records, RerunOptions.model_validate(options), of_its_own))
        return {record.test_id: record for record in records}

    async def execute(
        self,
        records: Iterable[Record],
        options: RerunOptions,
        thresholds: Mapping[str, Thresholds] = MappingProxyType({}),
        left_open: Iterable[Record] = (),
        died: datetime | None = None,
        others: Others = MappingProxyType({}),
    ) -> None:
        loop = asyncio.get_running_loop()
        self._loop_time = loop.time
        to_send, logger = list(records), logging.getLogger("world")
        artifacts = Noted(self.known)
        async with self.client() as client:
            sending = Sending(to_send, OwnRunOfNobody(), artifacts.keep, logger)
            run = Run(
                client,
                sending,
                artifacts,
                options,
                thresholds,
                others=_told(others),
                logger=logger,
                call=send_until_told,
            )
            planning = asyncio.ensure_future(self._note_plan(client.gate, len(to_send), options))
            dead = Died(died) if died else None
            await run.execute(to_send, list(left_open), dead)
            self.paths = FailingPaths(options, artifacts.keep, logger)
            await self.paths.read(client, to_send)
            planning.cancel()
        self.took, self.stopped = loop.time(), sending.stopped

    def read_again(
        self,
        records: Iterable[Record],
        *,
        after: float,
        later: Others = MappingProxyType({}),
        **options: Any,
    ) -> str:
        """Read the results of these tests as the flow that judges a run again does.

        `after` is how many seconds after the start of the run that is, and `later` are the rounds
        after which those of other reruns begin. The tests that change are noted in `known`, and in
        `fewer` those of which the API tells of fewer agents by now.
        """
        self.starts_at += after
        self.known.clear()
        self.simulator.calls.clear()
        chosen = RerunOptions.model_validate({"wait_for_results": True} | options)
        return run(self._read_again(list(records), later, chosen))

    async def _read_again(self, records: list[Record], later: Others, options: RerunOptions) -> str:
        loop, logger = asyncio.get_running_loop(), logging.getLogger("world")
        self._loop_time = loop.time
        async with self.client() as client:
            baseline = Baseline(client, options, logger)
            listed = await look_up(client, records, logger, for_rounds=True)
            await baseline.read(listed, (), records)
            keep = Noted(self.known).keep
            judging = Judging(client, options, {}, baseline, logger)
            reading = ReadingAgain(judging, on_known=keep)
            self.fewer = reading.fewer
            return await reading.read(records, later)

    def client(self) -> ThousandEyesClient:
        settings = ThousandEyesSettings(token=self.simulator.token, base_url="http://localhost")
        gate = QuotaGate(max_wait=36_000, clock=asyncio.get_running_loop().time)
        transport = httpx.ASGITransport(self.app)
        return ThousandEyesClient(settings, gate=gate, transport=transport, clock=self.clock)

    async def _note_plan(self, gate: QuotaGate, tests: int, options: RerunOptions) -> None:
        await gate.first_reply.wait()
        quota = gate.quota.families[Family.INSTANT]
        self.plan = plan(tests, quota, options.max_in_flight, sent=1)


def _told(others: Others) -> OthersOf:
    async def ask(*_: object) -> Others:
        return others

    return ask


class Noted(Artifacts):
    """Artifacts that are only noted, by test ID."""

    def __init__(self, noted: list[str]) -> None:
        super().__init__()
        self._noted = noted

    async def write(self, record: Record, confirm: object = None) -> None:  # noqa: ARG002
        self._noted.append(record.test_id)


class OwnRunOfNobody(OwnRun):
    """A run that stays this process's, whatever Prefect says."""

    def __init__(self) -> None:
        super().__init__(FlowRun(flow_id=uuid4()))

    async def confirm(self, trusted: float = 0.0) -> None: ...


async def send_until_told(
    record: Record,
    *,
    client: ThousandEyesClient,
    delivery: Delivery,
    before_sending: BeforeSending,
    before_waiting: BeforeWaiting,
) -> None:
    """Make a test's call as the task does, with its retries, and without Prefect and pauses."""
    for attempt in range(4):
        try:
            await client.rerun(record, before_sending=before_sending)
        except CallFailed as error:
            if attempt == 3 or not may_send_again(error, delivery):
                raise
            await before_waiting()
        else:
            return
