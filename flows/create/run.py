"""The run itself: one test after the other, each step recorded before the next one begins."""

from collections.abc import Collection, Sequence
from functools import partial

from flows.create.options import CreateOptions
from flows.runs.concurrency import to_the_end
from flows.runs.ownership import OwnRun
from flows.runs.sending import Logger, Sending
from tasks.artifacts import record_outcome
from tasks.create import create_endpoint_test, list_endpoint_tests
from tasks.known_tests import KnownTests, creating_run, known_id
from tasks.server_calls import refusals_logged
from thousandeyes.client import ThousandEyesClient
from thousandeyes.definitions import InstantTest
from thousandeyes.errors import CallFailed
from thousandeyes.models import EndpointTest
from thousandeyes.outcomes import Outcome
from thousandeyes.record import Record
from thousandeyes.text import shown


class CreationRun:
    """One pass over the definitions, each with a record that is updated in place.

    `sending` says what made it stop early, if anything did.

    Args:
        records: One per definition, in the same order; those with an outcome are left alone.
        known: What the group knows of its tests.
        own_run: Tells whether the run is still this process's.
        own_runs: IDs of the flow runs that are attempts of this one: what they sent is not sent
            again.
        options: How the run works.
        logger: Where the person on call looks.
    """

    def __init__(
        self,
        records: Sequence[Record],
        known: KnownTests,
        own_run: OwnRun,
        own_runs: Collection[str],
        options: CreateOptions,
        *,
        logger: Logger,
    ) -> None:
        self.sending = Sending(records, own_run, self._keep, logger)
        self._records = records
        self._known = known
        self._own_runs = own_runs
        self._again = frozenset(map(shown, options.create_again))
        self._noted: dict[str, tuple[str, str | None]] = {}
        self._listed: list[EndpointTest] | None = None
        self._logger = logger

    async def execute(self, client: ThousandEyesClient, definitions: Sequence[InstantTest]) -> None:
        """Create what doesn't exist, one after the other; returns when each has an outcome.

        Args:
            client: The run's client.
            definitions: The tests' definitions, each with a name of its own.
        """

        async def turn(item: tuple[InstantTest, Record]) -> None:
            definition, record = item
            if not self.sending.stopped and record.outcome is Outcome.NOT_ATTEMPTED:
                await self._take(client, definition, record)

        with self.sending.through(client):
            await self.sending.all(list(zip(definitions, self._records, strict=True)), turn)

    async def _take(
        self, client: ThousandEyesClient, definition: InstantTest, record: Record
    ) -> None:
        group = await self._known.read()
        if test_id := known_id(group, definition.test_name):
            if creating_run(group, definition.test_name):  # a person gave the ID: no doubt is left
                await to_the_end(self._known.created(definition.test_name, test_id))
            record.exists(test_id, "it exists: the group holds its ID")
        elif found := await self._find(client, definition, record.aid):
            await to_the_end(self._known.created(definition.test_name, found[0]))
            several = f"; the first of {len(found)} tests with this name" if found[1:] else ""
            record.exists(found[0], f"found in the list of tests, and adopted{several}")
        elif self.sending.stopped:
            pass
        elif (before := creating_run(group, definition.test_name)) and (
            before in self._own_runs or shown(definition.test_name) not in self._again
        ):
            record.left_in_doubt(
                f"its creation was sent in flow run {before}, and its answer was lost: it may "
                "exist. If it does, add its ID and name to the group; if not, name it in "
                "create_again"
            )
        else:
            await self._create(client, definition, record, before)

    async def _find(
        self, client: ThousandEyesClient, definition: InstantTest, aid: str | None
    ) -> list[str]:
        """Return the IDs of the tests that are listed with this name and type."""
        if self._listed is None:
            try:
                self._listed = await list_endpoint_tests(client, aid)
            except CallFailed as error:
                self.sending.stop(
                    f"the list of tests can't be read, and one may exist already: {error}"
                )
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
        record: Record,
        before: str | None,
    ) -> None:
        if before:
            record.left_in_doubt(f"flow run {before} left it in doubt")

        async def write_ahead() -> bool:
            self._noted[record.test_name] = definition.test_name, before
            await to_the_end(self._known.creating(definition.test_name, self.sending.confirm))
            return True

        call = partial(create_endpoint_test, definition, client, record=record)
        place = await self.sending.send(record, call, write_ahead)
        if place is not None:
            await self.sending.finish(record)
            self.sending.count(place, record)

    async def _keep(self, record: Record) -> None:
        """Bring the group up to date, then write the test's artifact."""
        if record.test_name in self._noted:
            await to_the_end(self._store(record, *self._noted.pop(record.test_name)))

    async def _store(self, record: Record, test_name: str, before: str | None) -> None:
        try:
            if record.outcome is Outcome.ACCEPTED:
                await self._known.created(test_name, record.test_id)
            elif not record.in_doubt:
                await self._known.not_created(test_name, before)
        except Exception as error:
            self._logger.exception("Test %r: the group can't be changed", test_name)
            record.noted(f"it is not recorded in the group ({type(error).__name__})")
            self.sending.stop(f"the group can't be changed to record {test_name!r}")
        if record.test_id:
            with refusals_logged(f"the outcome of test {record.test_id}"):
                await record_outcome(record)
