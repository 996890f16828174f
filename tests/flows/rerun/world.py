"""A whole run's calls and results on the virtual clock: all real but the sockets and Prefect."""

import asyncio
import logging
from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType
from typing import Any

import httpx

from flows.rerun import RerunOptions
from flows.rerun.beforehand import Beforehand
from flows.rerun.results import Results
from tests.thousandeyes.virtual_time import run
from thousandeyes.client import ThousandEyesClient
from thousandeyes.errors import CallFailed
from thousandeyes.gate import QuotaGate
from thousandeyes.rerun import Rerun, may_send_again
from thousandeyes.settings import ThousandEyesSettings
from thousandeyes.simulator import Call, Simulator, create_app
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

    def clock(self) -> float:
        return self.starts_at + self._loop_time()

    @property
    def result_calls(self) -> list[Call]:
        return [call for call in self.simulator.calls if "/test-results/" in call.path]

    def rerun(
        self,
        test_ids: Iterable[str] | None = None,
        of_its_own: Mapping[str, Thresholds] = MappingProxyType({}),
        **options: Any,
    ) -> dict[str, Rerun]:
        """Rerun tests as the flow does, from the start to the last result."""
        records = [Rerun(test_id) for test_id in test_ids or self.simulator.test_ids]
        run(self.execute(records, RerunOptions.model_validate(options), of_its_own))
        return {record.test_id: record for record in records}

    async def execute(
        self,
        records: Iterable[Rerun],
        options: RerunOptions,
        thresholds: Mapping[str, Thresholds] = MappingProxyType({}),
        left_open: Iterable[Rerun] = (),
    ) -> None:
        loop = asyncio.get_running_loop()
        self._loop_time = loop.time

        async def known(record: Rerun) -> None:
            self.known.append(record.test_id)

        settings = ThousandEyesSettings(token=self.simulator.token, base_url="http://localhost")
        gate = QuotaGate(max_wait=36_000, clock=loop.time)
        transport = httpx.ASGITransport(self.app)
        async with ThousandEyesClient(
            settings, gate=gate, transport=transport, clock=self.clock
        ) as client:
            logger = logging.getLogger("world")
            before = Beforehand(client, options, logger)
            results = Results(
                *(client, options, thresholds, before),
                on_known=known,
                logger=logger,
                clock=loop.time,
            )
            listed = {test.test_id: test for test in await client.tests()}
            await before.find_out(listed, list(records), list(left_open))
            for record in left_open:
                results.begin(record, at_once=True)
            queue = iter(sorted(records, key=before.has_just_run))

            async def work() -> None:
                for record in queue:
                    await before.wait_for_a_new_minute(record)
                    await self._send(client, before, record, options)
                    results.begin(record)

            async def send_all() -> None:
                await asyncio.gather(*(work() for _ in range(options.max_in_flight)))
                results.close()

            await asyncio.gather(send_all(), results.follow())
        self.took = loop.time()

    async def _send(
        self, client: ThousandEyesClient, before: Beforehand, record: Rerun, options: RerunOptions
    ) -> None:
        async def before_sending() -> None:
            before.sending(record)

        for _ in range(4):
            try:
                await client.rerun(record.test_id, record=record, before_sending=before_sending)
            except CallFailed as error:
                if may_send_again(error, options.delivery):
                    continue
            return
