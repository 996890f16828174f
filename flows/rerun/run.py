"""The run itself: a small pool works through the list, and nothing stops it but a reason."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from functools import partial
from types import MappingProxyType

from prefect import get_run_logger
from prefect.context import FlowRunContext

from flows.flow_run import why_cut_short
from flows.ownership import OwnRun
from flows.rerun.beforehand import Beforehand
from flows.rerun.breaker import Breaker
from flows.rerun.concurrency import all_or_first_error, in_background
from flows.rerun.options import RerunOptions
from flows.rerun.plan import plan
from flows.rerun.progress import Progress
from flows.rerun.recording import Artifacts
from flows.rerun.results import Results
from tasks.rerun import rerun_endpoint_test
from tasks.summary import RunReport
from thousandeyes.client import ThousandEyesClient
from thousandeyes.errors import CallFailed, Outcome, RunStopped, TokenRefused
from thousandeyes.models import EndpointTest
from thousandeyes.replies import Family
from thousandeyes.rerun import Delivery, Rerun
from thousandeyes.text import cut
from thousandeyes.thresholds import Thresholds

_LONGEST_LOOK_UP = 10.0  # seconds; a name is not worth more
_LONGEST_NAME = 100
_NONE: Mapping[str, Thresholds] = MappingProxyType({})


class Run:
    """One pass over the tests that need a call, each brought up to date in place.

    `stopped` says what made it stop early, if anything did.

    Args:
        records: The tests to send.
        options: How to go about it.
        own_run: Tells whether the run is still this process's.
        left_open: Tests that an earlier attempt of this run sent, whose results are to be read.
        thresholds: What the results of a test must keep to, by its ID; else the options'.
    """

    def __init__(
        self,
        records: Sequence[Rerun],
        options: RerunOptions,
        own_run: OwnRun,
        *,
        left_open: Sequence[Rerun] = (),
        thresholds: Mapping[str, Thresholds] = _NONE,
    ) -> None:
        self.stopped: str | None = None
        self._own_run = own_run
        self._records = records
        self._left_open = left_open
        self._options = options
        self._thresholds = thresholds
        self._progress = Progress([*records, *left_open])
        self._breaker = Breaker()
        self._artifacts = Artifacts()
        self._under_way: dict[str, Rerun] = {}
        self._places: dict[str, int] = {}
        self._logger = get_run_logger()

    async def execute(self, client: ThousandEyesClient) -> None:
        """Rerun every test and record its outcome; returns when each has one."""
        before = Beforehand(client, self._options, self._logger)
        results = Results(
            client,
            self._options,
            self._thresholds,
            before,
            on_known=partial(self._take_results, client),
            logger=self._logger,
        )
        async with (
            in_background(self._tell_plan(client)),
            in_background(self._progress.follow(client.gate, results)),
        ):
            sending = self._send_all(client, before, results)
            await all_or_first_error([sending, results.follow()])

    def cut_short(self, error: BaseException) -> None:
        """Note that the run ends here; what had no turn is told why."""
        self.stopped = why_cut_short(error)
        for record in self._records:
            if record.outcome is Outcome.NOT_ATTEMPTED:
                record.failed(RunStopped(self.stopped))
        for record in self._under_way.values():
            record.finished_at = record.finished_at or datetime.now(UTC)

    async def close(self, report: RunReport) -> None:
        """Record the tests that were under way when the run was cut short; end the progress."""
        await asyncio.gather(*(self._finish(record) for record in list(self._under_way.values())))
        await self._artifacts.written()
        await self._progress.close(report.sentence)

    async def _send_all(
        self, client: ThousandEyesClient, before: Beforehand, results: Results
    ) -> None:
        async with self._deadline(client):
            await before.find_out(await self._look_up(client), self._records, self._left_open)
            for record in self._left_open:
                results.begin(record, at_once=True)
            queue = iter(sorted(self._records, key=before.has_just_run))

            async def work() -> None:
                for record in queue:
                    await self._take_turn(client, record, before, results)

            slots = min(self._options.max_in_flight, len(self._records))
            await all_or_first_error([work() for _ in range(slots)])
        self._places.clear()  # nothing is left that could be stopped
        results.close()

    async def _take_turn(
        self, client: ThousandEyesClient, record: Rerun, before: Beforehand, results: Results
    ) -> None:
        """Rerun a test; the slot covers the call and its artifact."""
        if reason := before.why_skip(record):
            record.skipped(reason)
            return
        if not self.stopped:
            await before.wait_for_a_new_minute(record)
        if self.stopped:
            record.failed(RunStopped(self.stopped))
            return
        await self._rerun(client, record, before)
        place = self._breaker.place()
        # A lost answer tells nothing before it is known whether the test ran.
        is_open = results.begin(record) and record.outcome is Outcome.UNKNOWN
        if is_open:
            self._places[record.test_id] = place
        await self._finish(record)
        _forget_results()
        if not is_open:
            self._count(client, place, record)

    async def _take_results(self, client: ThousandEyesClient, record: Rerun) -> None:
        await self._artifacts.keep(record)
        if (place := self._places.pop(record.test_id, None)) is not None:
            self._count(client, place, record)

    def _count(self, client: ThousandEyesClient, place: int, record: Rerun) -> None:
        if reason := self._breaker.ended(place, record.outcome):
            self._stop(client, reason)

    async def _rerun(self, client: ThousandEyesClient, record: Rerun, before: Beforehand) -> None:
        async def before_sending() -> None:
            before.sending(record)
            try:
                await self._own_run.confirm()
                if self._options.delivery is Delivery.AT_MOST_ONCE:
                    # A run that is killed now knows of this call when it is executed again.
                    await self._artifacts.write(record)
            except BaseException:
                record.not_sent("not sent, since it could not be recorded first")
                raise

        self._under_way[record.test_id] = record
        try:
            await rerun_endpoint_test(
                record.test_id,
                client,
                delivery=self._options.delivery,
                record=record,
                before_sending=before_sending,
            )
        except TokenRefused:
            self._stop(client, "the token was refused (401): is it expired, or its user locked?")
        except CallFailed as error:
            # The record holds it, and the task has logged it.
            if self._own_run.lost:
                self._stop(client, str(error), begun_too=True)
        except Exception as error:
            self._logger.exception("Test %s: unexpected error", record.test_id)
            record.detail += f" (unexpected {type(error).__name__})"

    async def _finish(self, record: Rerun) -> None:
        record.finished_at = record.finished_at or datetime.now(UTC)
        # A run that goes on elsewhere has a word to say on what it sent, and on nothing else.
        if not (self._own_run.lost and record.outcome is Outcome.NOT_ATTEMPTED):
            await self._artifacts.keep(record)
        del self._under_way[record.test_id]

    def _stop(self, client: ThousandEyesClient, reason: str, *, begun_too: bool = False) -> None:
        """Send nothing more; tests that a call went out for may finish, unless `begun_too`."""
        if not self.stopped:
            self.stopped = reason
            self._logger.error("The run stops early: %s", reason)
        client.gate.stop(reason, begun_too=begun_too)

    @asynccontextmanager
    async def _deadline(self, client: ThousandEyesClient) -> AsyncIterator[None]:
        minutes = self._options.deadline_minutes
        if minutes is None:
            yield
            return
        reason = f"the deadline of {minutes:g} minutes has come"
        timer = asyncio.get_running_loop().call_later(
            minutes * 60, lambda: self._stop(client, reason, begun_too=True)
        )
        try:
            yield
        finally:
            timer.cancel()

    async def _tell_plan(self, client: ThousandEyesClient) -> None:
        await client.gate.first_reply.wait()
        instant = client.gate.quota.families[Family.INSTANT]
        text = plan(len(self._records), instant, self._options.max_in_flight)
        if self._options.wait_for_results:
            text += f"; then up to {self._options.results_deadline_minutes:g} minutes for results"
        self._logger.info(text)

    async def _look_up(self, client: ThousandEyesClient) -> dict[str, EndpointTest]:
        """Return what the API lists of the tests, and name those that have no name yet."""
        records = [*self._records, *self._left_open]
        wanted = [r for r in records if self._options.wait_for_results or not r.test_name]
        listed: dict[str, EndpointTest] = {}
        try:
            async with asyncio.timeout(_LONGEST_LOOK_UP):
                for aid in dict.fromkeys(record.aid for record in wanted):
                    listed |= {test.test_id: test for test in await client.tests(aid)}
        except (CallFailed, TimeoutError) as error:
            reason = str(error) or "no answer in time"
            self._logger.info("The tests' names are not known: %s", reason)
        for record in self._records:
            test = listed.get(record.test_id)
            name = record.test_name or (test.test_name if test else "")
            record.test_name = cut(name, _LONGEST_NAME)
        return listed


def _forget_results() -> None:
    """Drop what Prefect keeps of each task run's result, to draw edges between task runs.

    Nothing here depends on another's result, and 10,000 of them are 30 MB.
    """
    if context := FlowRunContext.get():
        context.run_results.clear()
