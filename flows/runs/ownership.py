"""Whether this process may send for its flow run: not when it was taken for dead or cancelled."""

import asyncio
import math
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Final, Self
from uuid import UUID

import prefect.runtime
from prefect import get_client
from prefect.client.schemas.objects import FlowRun
from prefect.exceptions import Abort, ObjectNotFound

from tasks.server_calls import NoAccess, until_taken
from thousandeyes.clock import elapsed
from thousandeyes.errors import RunStopped

TRUSTED: Final = 10.0
"""Seconds for which an answer counts. A run that was found dead is started again after 30."""
PROMPT: Final = 2.0
"""Seconds that a write or an answer may take. If it takes longer, the server may have been out of
reach."""


async def _read(flow_run_id: UUID) -> FlowRun:
    async with get_client() as client:
        return await client.read_flow_run(flow_run_id)


class OwnRun:
    """The flow run that this process executes, as the Prefect server has it.

    A run whose process is silent for long is taken for dead, and goes on elsewhere. When the
    process was only cut off, there are two; the one that Prefect doesn't count any more stops.
    `flow_run` is the run as it was at the start; `lost` tells that it is this process's no more.
    """

    def __init__(
        self,
        flow_run: FlowRun,
        clock: Callable[[], float] = elapsed,
        read: Callable[[UUID], Awaitable[FlowRun]] = _read,
    ) -> None:
        self.flow_run = flow_run
        self.lost = self.cancelled = False
        self._clock = clock
        self._read = read
        self._confirmed = clock()
        self._looking = asyncio.Lock()

    @classmethod
    async def of_this_process(cls) -> Self:
        """Return the flow run that is being executed here."""
        flow_run_id = UUID(prefect.runtime.flow_run.id)
        return cls(await until_taken(lambda: _read(flow_run_id)))

    async def confirm(self, trusted: float = TRUSTED) -> None:
        """Return when this process may send; waits as long as the server is away.

        Of several that have to know at once, one asks.

        Args:
            trusted: Seconds for which the latest answer counts.

        Raises:
            NoAccess: The Prefect server does not let this process in.
            RunStopped: It may not: the run is lost, or is being cancelled.
        """
        asked = self._clock()
        async with self._looking:
            if not (self._over or asked - self._confirmed <= trusted):
                await self._look()
        if self.lost:
            raise RunStopped("Prefect took this process for dead: the run is no longer its own")
        if self.cancelled:
            raise RunStopped("cancelled")

    @contextmanager
    def doubted_if_slow(self) -> Iterator[None]:
        """Let no earlier answer count if the write in this block takes long.

        A run that was cut off may have gone on elsewhere, at once by somebody's hand.
        """
        began = self._clock()
        try:
            yield
        finally:
            if self._clock() - began > PROMPT:
                self._confirmed = -math.inf

    async def watch(
        self,
        stop: Callable[[str], None],
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        """Look now and then, also while nothing is sent; tell `stop` why nothing more may be."""
        while True:
            await sleep(TRUSTED)
            try:
                await self.confirm()
            except (NoAccess, RunStopped) as error:
                stop(str(error))
                return

    async def confirm_or_abort(self) -> None:
        """Return when the run is this process's at this moment, be it cancelled or not.

        Raises:
            Abort: It is not. Prefect's engine ends without a word to the server: the run's state
                belongs to the process that goes on with it.
        """
        try:
            await self.confirm(trusted=0)
        except RunStopped as error:
            if self.lost:
                raise Abort(str(error)) from None

    async def _look(self) -> None:
        asked = self._clock()
        await self._ask()
        if not self._over and self._clock() - asked > PROMPT:
            # The answer may be of before this process was cut off.
            asked = self._clock()
            await self._ask()
        self._confirmed = asked

    @property
    def _over(self) -> bool:
        return self.lost or self.cancelled

    async def _ask(self) -> None:
        try:
            now = await until_taken(lambda: self._read(self.flow_run.id))
        except ObjectNotFound:  # deleted
            self.lost = True
            return
        self.lost = not self._is_ours(now)
        self.cancelled = bool(now.state and now.state.is_cancelling())

    def _is_ours(self, now: FlowRun) -> bool:
        state = now.state
        under_way = bool(state and (state.is_running() or state.is_cancelling()))
        return under_way and now.run_count == self.flow_run.run_count
