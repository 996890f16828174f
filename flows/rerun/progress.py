"""Where a longer run stands: a progress artifact, and now and then a line in the log."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence, Sized
from functools import partial
from typing import Final
from uuid import UUID

from prefect import get_client, get_run_logger
from prefect.artifacts import acreate_progress_artifact, aupdate_progress_artifact

from tasks.deployment import deployment_slug
from tasks.markdown import plain
from tasks.report import counts
from tasks.server_calls import checking_changes, refusals_logged, until_taken
from thousandeyes.gate import QuotaGate
from thousandeyes.outcomes import Outcome
from thousandeyes.record import Record
from thousandeyes.text import duration

KEY: Final = "endpoint-rerun-progress-"
LONGER: Final = 15.0
"""Seconds after which a run is a longer one."""
EVERY: Final = 5.0
"""Seconds between two updates of the artifact."""
LOG_EVERY: Final = 6
"""Updates between two lines in the log."""


class Progress:
    """Shows where a run stands, once it turns out to be a longer one."""

    def __init__(
        self,
        records: Sequence[Record],
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._records = records
        self._logger = get_run_logger()
        self._sleep = sleep
        self._artifact: UUID | None = None

    def standing(self, gate: QuotaGate, awaited: Sized = ()) -> str:
        """Return in a line where the run stands; `awaited` are the tests with results to come."""
        done = self._done()
        text = f"{len(done)} of {len(self._records)} tests done: {counts(done) or 'none yet'}"
        if len(done) < len(self._records) and (wait := gate.wait_for_quota()) > EVERY:
            text += f"; the next ones wait {duration(wait)} for quota"
        if len(awaited):
            text += f"; waiting for the results of {len(awaited)}"
        return text

    async def follow(self, gate: QuotaGate, awaited: Sized = ()) -> None:
        """Show it until cancelled; `awaited` are the tests with results to come."""
        await self._sleep(LONGER)
        logged = ""
        round_ = 0
        while True:
            text = self.standing(gate, awaited)
            if round_ % LOG_EVERY == 0 and text != logged:
                self._logger.info(text)
                logged = text
            await self._show(100 * len(self._done()) / len(self._records), text)
            await self._sleep(EVERY)
            round_ += 1

    async def close(self, sentence: str) -> None:
        """Show the end, if there was anything to show."""
        if self._artifact:
            await self._show(100.0, plain(sentence))

    def _done(self) -> list[Record]:
        # A skipped test has no time of its own.
        return [
            record
            for record in self._records
            if record.finished_at or record.outcome is Outcome.SKIPPED
        ]

    async def _show(self, percent: float, text: str) -> None:
        with refusals_logged("the progress"):
            if artifact := self._artifact:
                await until_taken(partial(_update, artifact, percent, text))
            else:
                key = KEY + await deployment_slug()
                self._artifact = await until_taken(
                    lambda: acreate_progress_artifact(percent, key=key, description=text)
                )


async def _update(artifact: UUID, percent: float, text: str) -> None:
    async with get_client() as client:
        await aupdate_progress_artifact(artifact, percent, text, checking_changes(client))
