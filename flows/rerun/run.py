"""The run itself: a small pool works through the list, and nothing stops it but a reason."""

import asyncio
from collections.abc import AsyncIterator, Coroutine, Iterable, Iterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from prefect import get_run_logger
from prefect.context import FlowRunContext

from flows.rerun.breaker import Breaker
from flows.rerun.options import RerunOptions
from flows.rerun.ownership import OwnRun
from flows.rerun.plan import plan
from flows.rerun.progress import Progress
from tasks.artifacts import record_outcome, refusals_logged
from tasks.rerun import rerun_endpoint_test
from tasks.summary import RunReport
from thousandeyes.client import ThousandEyesClient
from thousandeyes.errors import CallFailed, Outcome, RunStopped, ThousandEyesError, TokenRefused
from thousandeyes.replies import Family, cut
from thousandeyes.rerun import Delivery, Rerun

_LONGEST_LOOK_UP = 10.0  # seconds; a name is not worth more
_LONGEST_NAME = 100


class Run:
    """One pass over the tests that need a call, each brought up to date in place.

    `stopped` says what made it stop early, if anything did.
    """

    def __init__(self, records: Sequence[Rerun], options: RerunOptions, own_run: OwnRun) -> None:
        self.stopped: str | None = None
        self._own_run = own_run
        self._records = records
        self._options = options
        self._progress = Progress(records)
        self._breaker = Breaker()
        self._artifacts: dict[str, UUID] = {}
        self._writing: dict[str, asyncio.Future[None]] = {}
        self._under_way: dict[str, Rerun] = {}
        self._logger = get_run_logger()

    async def execute(self, client: ThousandEyesClient) -> None:
        """Rerun every test and record its outcome; returns when each has one."""
        queue = iter(self._records)
        slots = min(self._options.max_in_flight, len(self._records))
        async with (
            self._deadline(client),
            _in_background(self._tell_plan(client)),
            _in_background(self._progress.follow(client.gate)),
        ):
            await self._look_up_names(client)
            await _all_or_first_error([self._work(client, queue) for _ in range(slots)])

    def cut_short(self, error: BaseException) -> None:
        """Note that the run ends here; what had no turn is told why."""
        if isinstance(error, ThousandEyesError):
            self.stopped = str(error)
        elif isinstance(error, Exception):
            self.stopped = f"unexpected {type(error).__name__}, see the log"
        else:
            self.stopped = "cancelled"
        for record in self._records:
            if record.outcome is Outcome.NOT_ATTEMPTED:
                record.failed(RunStopped(self.stopped))
        for record in self._under_way.values():
            record.finished_at = record.finished_at or datetime.now(UTC)

    async def close(self, report: RunReport) -> None:
        """Record the tests that were under way when the run was cut short; end the progress."""
        await asyncio.gather(*(self._finish(record) for record in list(self._under_way.values())))
        await self._progress.close(report.sentence)

    async def _work(self, client: ThousandEyesClient, queue: Iterator[Rerun]) -> None:
        """Take one test after the other; the slot covers the call and its artifact."""
        for record in queue:
            if self.stopped:
                record.failed(RunStopped(self.stopped))
                continue
            await self._rerun(client, record)
            await self._finish(record)
            _forget_results()
            if reason := self._breaker.ended(record.outcome):
                self._stop(client, reason)

    async def _rerun(self, client: ThousandEyesClient, record: Rerun) -> None:
        async def before_sending() -> None:
            try:
                await self._own_run.confirm()
                if self._options.delivery is Delivery.AT_MOST_ONCE:
                    # A run that is killed now knows of this call when it is executed again.
                    await self._write(record)
            except BaseException:
                # What isn't on record doesn't go out, and no earlier call of it is in doubt.
                record.outcome, record.attempts = Outcome.NOT_ATTEMPTED, record.attempts - 1
                record.detail = "not sent, since it could not be recorded first"
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
            with refusals_logged(f"the outcome of test {record.test_id}"):
                await self._write(record)
        del self._under_way[record.test_id]

    async def _write(self, record: Rerun) -> None:
        """Bring the test's artifact up to date, one write after the other.

        A write that has begun goes on when this is cancelled: cut short, nobody could tell
        whether there is an artifact already.
        """
        before = self._writing.get(record.test_id)

        async def write() -> None:
            if before:
                await asyncio.wait([before])
            known = self._artifacts.get(record.test_id)
            # `not_attempted` stands in the run's table alone.
            if known or record.outcome is not Outcome.NOT_ATTEMPTED:
                self._artifacts[record.test_id] = await record_outcome(record, known)

        self._writing[record.test_id] = asyncio.ensure_future(write())
        await asyncio.shield(self._writing[record.test_id])

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
        self._logger.info(plan(len(self._records), instant, self._options.max_in_flight))

    async def _look_up_names(self, client: ThousandEyesClient) -> None:
        """Name the tests that have none yet, if the API lists them; names are for the reader."""
        nameless = [record for record in self._records if not record.test_name]
        aids = dict.fromkeys(record.aid for record in nameless)
        names: dict[str, str] = {}
        try:
            async with asyncio.timeout(_LONGEST_LOOK_UP):
                for aid in aids:
                    names |= {test.test_id: test.test_name for test in await client.tests(aid)}
        except (CallFailed, TimeoutError) as error:
            reason = str(error) or "no answer in time"
            self._logger.info("The tests' names are not known: %s", reason)
        for record in self._records:
            name = record.test_name or names.get(record.test_id, "")
            record.test_name = cut(name, _LONGEST_NAME)


def _forget_results() -> None:
    """Drop what Prefect keeps of each task run's result, to draw edges between task runs.

    Nothing here depends on another's result, and 10,000 of them are 30 MB.
    """
    if context := FlowRunContext.get():
        context.run_results.clear()


@asynccontextmanager
async def _in_background(work: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    task = asyncio.ensure_future(work)
    try:
        yield
    finally:
        task.cancel()
        [error] = await asyncio.gather(task, return_exceptions=True)
        if isinstance(error, Exception):
            get_run_logger().error("Unexpected error beside the run", exc_info=error)


async def _all_or_first_error(work: Iterable[Coroutine[Any, Any, None]]) -> None:
    """Wait for all; when one fails or this is cancelled, cancel the others and raise.

    Unlike `asyncio.TaskGroup`, it raises the error itself: Prefect knows a termination signal
    by its type, and it can surface in any of them.
    """
    tasks = [asyncio.ensure_future(one) for one in work]
    try:
        await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            if not task.cancelling():  # a second time would cut short how it ends
                task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
