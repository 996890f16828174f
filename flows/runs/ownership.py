"""Whether this process may send for its flow run: not once it is presumed dead or asked to end."""

import asyncio
import math
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any, Final, Self
from uuid import UUID

import prefect.runtime
from prefect import get_client
from prefect.client.schemas.filters import (
    FlowRunFilter,
    FlowRunFilterId,
    TaskRunFilter,
    TaskRunFilterId,
)
from prefect.client.schemas.objects import FlowRun
from prefect.exceptions import Abort, ObjectNotFound

from flows.runs.concurrency import in_background
from tasks.server_calls import NoAccess, until_taken
from thousandeyes.clock import elapsed
from thousandeyes.errors import RunStopped

TRUSTED: Final = 10.0
"""Seconds for which an answer counts. A run that was found dead is started again after 30."""
PROMPT: Final = 2.0
"""Seconds that a write may take. If it takes longer, the server may have been out of reach."""
SUSPENDED: Final = "suspended"
"""Why a run stops when somebody suspends it."""
_LATE: Final = 5.0
"""Seconds that an answer may take to count as current."""
_MOST_ASKED: Final = 3
"""Questions per check. If the server is always that slow, the last answer counts."""
_LONGEST_PAUSE: Final = 5.0
"""Seconds between two tries while the server is unreachable: the whole run waits for this."""


class RunCancelled(RunStopped):
    """Somebody cancels the run. Prefect accepts no other ending of it."""


async def _read(flow_run_id: UUID) -> FlowRun:
    async with get_client() as client:
        return await client.read_flow_run(flow_run_id)


async def _read_above(flow_run: FlowRun) -> list[UUID]:
    """Return the runs that this one is a subflow of, the nearest first."""
    above: list[UUID] = []
    async with get_client() as client:
        while parent := flow_run.parent_task_run_id:
            of_task = TaskRunFilter(id=TaskRunFilterId(any_=[parent]))
            found = await client.read_flow_runs(task_run_filter=of_task)
            if not found:  # deleted
                break
            flow_run = found[0]
            above.append(flow_run.id)
    return above


async def _read_all(flow_run_ids: list[UUID]) -> list[FlowRun]:
    these = FlowRunFilter(id=FlowRunFilterId(any_=flow_run_ids))
    async with get_client() as client:
        return await client.read_flow_runs(flow_run_filter=these)


class OwnRun:
    """The flow run that this process executes, as the Prefect server has it.

    A run whose process is silent for long is presumed dead, and continues elsewhere. If the process
    was only cut off, there are two of them; the one that Prefect no longer counts stops. `flow_run`
    is the run as it was at the start; `lost` means that it is no longer this process's,
    `cancelled` and `suspended` that somebody wants it to end, or to wait. In these two cases this
    process still reports it. Whoever cancels a run cancels its subflows, too.
    """

    def __init__(
        self,
        flow_run: FlowRun,
        clock: Callable[[], float] = elapsed,
        read: Callable[[UUID], Awaitable[FlowRun]] = _read,
    ) -> None:
        self.flow_run = flow_run
        self.lost = self.cancelled = self.suspended = False
        self._clock = clock
        self._read = read
        self._above = None if flow_run.parent_task_run_id else list[UUID]()  # None: not yet read
        self._confirmed = clock()
        self._looking = asyncio.Lock()

    @classmethod
    async def of_this_process(cls) -> Self:
        """Return the flow run that is being executed here."""
        flow_run_id = UUID(prefect.runtime.flow_run.id)
        asked = elapsed()
        own_run = cls(await until_taken(lambda: _read(flow_run_id)))
        own_run._confirmed = asked  # the answer may have been on its way for long
        return own_run

    async def confirm(self, trusted: float = TRUSTED) -> None:
        """Return when this process may send; waits as long as the server is unreachable.

        If several callers need to know at once, one asks for all.

        Args:
            trusted: Seconds for which the latest answer counts.

        Raises:
            NoAccess: The Prefect server does not let this process in.
            RunStopped: It may not: the run is lost, or is being cancelled, or is suspended.
        """
        asked = self._clock()
        if not self._is_known(asked, trusted):
            async with self._looking:
                if not self._is_known(asked, trusted):  # nobody else has looked meanwhile
                    await self._look()
        if self.lost:
            raise RunStopped("Prefect presumed this process dead; the run may continue elsewhere")
        if self.cancelled:
            raise RunStopped("cancelled")
        if self.suspended:
            raise RunStopped(SUSPENDED)

    @contextmanager
    def doubted_if_slow(self) -> Iterator[None]:
        """Let no earlier answer count if the write in this block takes long.

        A run that was cut off may continue elsewhere, even at once if somebody restarts it.
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
        """Check now and then, even while nothing is sent; call `stop` if nothing more may be."""
        while True:
            await sleep(TRUSTED)
            try:
                await self.confirm()
            except (NoAccess, RunStopped) as error:
                stop(str(error))
                return

    async def cutting_short(
        self, work: Coroutine[Any, Any, None], told: Callable[[str], None]
    ) -> None:
        """Do work that sends nothing itself, until it ends or the run is lost or is to end.

        Args:
            work: The work.
            told: Called with why it is cut short.
        """
        doing, stopped = asyncio.ensure_future(work), False

        def stop(reason: str) -> None:
            nonlocal stopped
            if stopped := doing.cancel():  # else it has ended
                told(reason)

        async with in_background(self.watch(stop)):
            try:
                await doing
            except asyncio.CancelledError:
                if not stopped:
                    raise

    async def confirm_or_abort(self) -> None:
        """Return when the run is this process's right now, also to end or to suspend.

        Raises:
            Abort: It is not. Prefect's engine ends without reporting to the server: the run's state
                belongs to the process that continues it.
        """
        try:
            await self.confirm(trusted=0)
        except RunStopped as error:
            if self.lost:
                raise Abort(str(error)) from None

    def _is_known(self, asked: float, trusted: float) -> bool:
        latest = self._confirmed
        return self.lost or self.cancelled or latest >= asked or self._clock() - latest <= trusted

    async def _look(self) -> None:
        """Ask how the run stands; ask again if the answer took long.

        A late answer may be from before this process was cut off, and the run may continue
        elsewhere since.
        """
        for _ in range(_MOST_ASKED):
            asked = self._clock()
            await self._ask()
            if self.lost or self._clock() - asked <= _LATE:
                break
        self._confirmed = asked

    async def _ask(self) -> None:
        read = partial(self._read, self.flow_run.id)
        try:
            now = await until_taken(read, longest_pause=_LONGEST_PAUSE)
        except ObjectNotFound:  # deleted
            self.lost = True
            return
        self.lost = not self._is_ours(now)
        self.cancelled = bool(now.state and now.state.is_cancelling()) or await self._ends_above()
        self.suspended = bool(now.state and now.state.is_paused())

    async def _ends_above(self) -> bool:
        """Return whether somebody cancels a run that this one is a subflow of."""
        if self._above is None:
            read = partial(_read_above, self.flow_run)
            self._above = await until_taken(read, longest_pause=_LONGEST_PAUSE)
        if not self._above:
            return False
        read_all = partial(_read_all, self._above)
        runs = await until_taken(read_all, longest_pause=_LONGEST_PAUSE)
        return any(self._is_cancelled(run) for run in runs)

    def _is_cancelled(self, above: FlowRun) -> bool:
        if not (state := above.state) or not (state.is_cancelling() or state.is_cancelled()):
            return False
        # Somebody may have retried just this run, long after the one above it was cancelled.
        retried = state.is_cancelled() or self.flow_run.run_count > 1
        began = self.flow_run.state
        return not (retried and began and state.timestamp < began.timestamp)

    def _is_ours(self, now: FlowRun) -> bool:
        state = now.state
        under_way = state and (state.is_running() or state.is_cancelling() or state.is_paused())
        return bool(under_way) and now.run_count == self.flow_run.run_count
