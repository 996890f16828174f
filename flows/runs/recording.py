"""The artifacts of a run's tests: each created once and kept up to date, one write at a time."""

import asyncio
from collections.abc import Callable
from functools import partial
from uuid import UUID

from tasks.artifacts import record_outcome
from tasks.server_calls import Confirm, NoAccess, refusals_logged
from thousandeyes.outcomes import Outcome
from thousandeyes.record import Record


class Artifacts:
    """Knows which tests of this run have an artifact already.

    Args:
        complete: Called with each record before it is written, to add what depends on it.
        ended_run: The flow run that the artifacts belong to, if not the one under way.
    """

    def __init__(
        self,
        complete: Callable[[Record], None] = lambda _: None,
        ended_run: UUID | None = None,
    ) -> None:
        self._complete = complete
        self._ended_run = ended_run
        self._known: dict[str, UUID] = {}
        self._writing: dict[str, asyncio.Future[None]] = {}

    async def keep(self, record: Record) -> None:
        """Bring a test's artifact up to date; if Prefect refuses it, log that.

        Raises:
            NoAccess: The Prefect server does not let this process in.
        """
        with refusals_logged(f"the outcome of test {record.test_id}", let_through=(NoAccess,)):
            await self.write(record)

    async def write(self, record: Record, confirm: Confirm | None = None) -> None:
        """Bring a test's artifact up to date, one write after the other.

        `confirm` is called before each try; what it raises ends the tries.

        Once begun, a write continues when this is cancelled: if it were cut short, nobody could
        tell whether the artifact exists.

        Raises:
            NoAccess: The Prefect server does not let this process in.
            PrefectHTTPStatusError: The Prefect server refuses it.
        """
        before = self._writing.get(record.test_id)

        async def write() -> None:
            if before:
                await asyncio.wait([before])
            known = self._known.get(record.test_id)
            self._complete(record)
            # `not_attempted` is only in the run's table.
            if known or record.outcome is not Outcome.NOT_ATTEMPTED:
                self._known[record.test_id] = await record_outcome(
                    record, known, confirm, self._ended_run
                )

        writing = self._writing[record.test_id] = asyncio.ensure_future(write())
        writing.add_done_callback(partial(self._forget, record.test_id))
        await asyncio.shield(writing)

    def _forget(self, test_id: str, writing: asyncio.Future[None]) -> None:
        # The futures of 10,000 writes that are over would take megabytes.
        if self._writing.get(test_id) is writing and not writing.cancelled():
            # `write` raises its error. Asyncio would log it too if nobody had asked for it.
            writing.exception()
            del self._writing[test_id]

    def lacks(self, record: Record) -> bool:
        """Tell whether a record that was sent is not recorded as it stands."""
        return record.test_id in self._writing or record.test_id not in self._known

    async def written(self) -> None:
        """Return when every write that has begun has ended."""
        await asyncio.gather(*self._writing.values(), return_exceptions=True)
