"""Keeps the artifact of each test up to date, one write after the other."""

import asyncio
from uuid import UUID

from tasks.artifacts import record_outcome, refusals_logged
from thousandeyes.errors import Outcome
from thousandeyes.rerun import Rerun


class Recorder:
    """Writes the records of one run's tests."""

    def __init__(self) -> None:
        self._artifacts: dict[str, UUID] = {}
        self._writing: dict[str, asyncio.Future[None]] = {}

    async def record(self, record: Rerun) -> None:
        """Write a test's artifact; one that the Prefect server refuses is logged."""
        with refusals_logged(f"the outcome of test {record.test_id}"):
            await self.write(record)

    async def write(self, record: Rerun) -> None:
        """Bring the test's artifact up to date.

        A write that has begun goes on when this is cancelled: cut short, nobody could tell
        whether there is an artifact already.

        Raises:
            PrefectHTTPStatusError: The Prefect server refuses it.
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

    async def close(self) -> None:
        """Wait for the writes that go on."""
        await asyncio.gather(*self._writing.values(), return_exceptions=True)
