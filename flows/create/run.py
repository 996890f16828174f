"""The run itself: one test after the other, each step on record before the next one begins."""

import asyncio
from collections.abc import Awaitable, Collection, Sequence
from datetime import UTC, datetime

from prefect import get_run_logger

from flows.create.options import CreateOptions
from flows.flow_run import why_cut_short
from flows.ownership import OwnRun
from flows.rerun.breaker import Breaker
from tasks.artifacts import record_outcome, refusals_logged
from tasks.create import create_endpoint_test, list_endpoint_tests
from tasks.known_tests import KnownTests, creating_run, known_id
from thousandeyes.client import ThousandEyesClient
from thousandeyes.definitions import InstantTest
from thousandeyes.errors import CallFailed, Outcome, RunStopped, TokenRefused
from thousandeyes.models import EndpointTest
from thousandeyes.rerun import Rerun
from thousandeyes.text import shown


class CreationRun:
    """One pass over the definitions, each with a record that is brought up to date in place.

    `stopped` says what made it stop early, if anything did.

    Args:
        definitions: What is to exist, each with a name of its own.
        records: One a definition, in the same order; one that has an outcome is left alone.
        known: What the group knows of its tests.
        own_run: Tells whether the run is still this process's.
        own_runs: IDs of the flow runs that are this one: what they sent is not sent again.
        options: How to go about it.
    """

    def __init__(
        self,
        definitions: Sequence[InstantTest],
        records: Sequence[Rerun],
        known: KnownTests,
        own_run: OwnRun,
        own_runs: Collection[str],
        options: CreateOptions,
    ) -> None:
        self.stopped: str | None = None
        self._definitions = definitions
        self._records = records
        self._known = known
        self._own_run = own_run
        self._own_runs = own_runs
        self._again = frozenset(map(shown, options.create_again))
        self._breaker = Breaker()
        self._listed: list[EndpointTest] | None = None
        self._logger = get_run_logger()

    async def execute(self, client: ThousandEyesClient) -> None:
        """Create what doesn't exist, one after the other; returns when each has an outcome."""
        for definition, record in zip(self._definitions, self._records, strict=True):
            if not self.stopped and record.outcome is Outcome.NOT_ATTEMPTED:
                await self._take(client, definition, record)
            if self.stopped and record.outcome is Outcome.NOT_ATTEMPTED:
                record.failed(RunStopped(self.stopped))

    def cut_short(self, error: BaseException) -> None:
        """Note that the run ends here; what had no turn is told why."""
        self.stopped = why_cut_short(error)
        for record in self._records:
            if record.outcome is Outcome.NOT_ATTEMPTED:
                record.failed(RunStopped(self.stopped))

    async def _take(
        self, client: ThousandEyesClient, definition: InstantTest, record: Rerun
    ) -> None:
        group = await self._known.read()
        if test_id := known_id(group, definition.test_name):
            _exists(record, test_id, "it exists: the group holds its ID")
        elif found := await self._find(client, definition, record.aid):
            await _to_the_end(self._known.created(definition.test_name, found[0]))
            several = f"; of {len(found)} tests with this name the first" if found[1:] else ""
            _exists(record, found[0], f"found in the list of tests, and adopted{several}")
        elif self.stopped:
            pass
        elif (before := creating_run(group, definition.test_name)) and (
            before in self._own_runs or shown(definition.test_name) not in self._again
        ):
            record.outcome = Outcome.UNKNOWN
            record.detail = (
                f"its creation went out in flow run {before}, and its answer was lost: it may "
                "exist. If it does, put its ID and name into the group; if not, create_again"
            )
        else:
            await self._create(client, definition, record, before)

    async def _find(
        self, client: ThousandEyesClient, definition: InstantTest, aid: str | None
    ) -> list[str]:
        """Return the IDs of the tests that are listed under this name, with this type."""
        if self._listed is None:
            try:
                self._listed = await list_endpoint_tests(client, aid)
            except CallFailed as error:
                self._stop(f"the list of tests can't be read, and one may exist already: {error}")
                return []
        return [
            test.test_id
            for test in self._listed
            if shown(test.test_name) == shown(definition.test_name)
            and test.type in ("", definition.type)
        ]

    async def _create(
        self,
        client: ThousandEyesClient,
        definition: InstantTest,
        record: Rerun,
        before: str | None,
    ) -> None:
        if before:
            record.outcome, record.detail = Outcome.UNKNOWN, f"flow run {before} left it in doubt"

        noted = False

        async def write_ahead() -> None:
            nonlocal noted
            try:
                await self._own_run.confirm()
                noted = True
                await _to_the_end(self._known.creating(definition.test_name))
            except BaseException:
                record.not_sent("not sent, since it could not be recorded first")
                raise

        try:
            await create_endpoint_test(
                definition, client, record=record, before_sending=write_ahead
            )
        except TokenRefused:
            self._stop("the token was refused (401): is it expired, or its user locked?")
        except CallFailed as error:
            # The record holds it, and the task has logged it.
            if self._own_run.lost:
                self._stop(str(error))
        except Exception as error:
            self._logger.exception("Test %r: unexpected error", definition.test_name)
            record.detail += f" (unexpected {type(error).__name__})"
        finally:
            record.finished_at = datetime.now(UTC)
            if noted:
                await _to_the_end(self._store(definition.test_name, record, before))
        if reason := self._breaker.ended(self._breaker.place(), record.outcome):
            self._stop(reason)

    async def _store(self, test_name: str, record: Rerun, before: str | None) -> None:
        """Bring the group up to date, then write the test's artifact."""
        try:
            if record.outcome is Outcome.ACCEPTED:
                await self._known.created(test_name, record.test_id)
            elif not record.in_doubt:
                await self._known.not_created(test_name, before)
        except Exception as error:
            self._logger.exception("Test %r: the group can't be changed", test_name)
            record.detail += f"; the group does not know of it ({type(error).__name__})"
            self._stop(f"the group can't be changed, and {test_name!r} must be noted there")
        if record.test_id:
            with refusals_logged(f"the outcome of test {record.test_id}"):
                await record_outcome(record)

    def _stop(self, reason: str) -> None:
        if not self.stopped:
            self.stopped = reason
            self._logger.error("The run stops early: %s", reason)


def _exists(record: Rerun, test_id: str, detail: str) -> None:
    record.test_id = test_id
    record.outcome, record.detail = Outcome.SKIPPED, detail


async def _to_the_end(work: Awaitable[None]) -> None:
    """Await a write; one that has begun goes on when this is cancelled."""
    task = asyncio.ensure_future(work)
    try:
        await asyncio.shield(task)
    finally:
        await asyncio.wait([task])
