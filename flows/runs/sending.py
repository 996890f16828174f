"""How a run's calls go out: one turn per record, until something stops the run."""

import asyncio
import logging
import math
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial
from typing import TypeVar

from prefect.exceptions import Pause

from flows.runs.breaker import Breaker
from flows.runs.concurrency import all_or_first_error
from flows.runs.ownership import SUSPENDED, TRUSTED, OwnRun
from tasks.server_calls import NoAccess
from thousandeyes.caller import Caller
from thousandeyes.clock import elapsed
from thousandeyes.errors import CallFailed, RunStopped, TokenRefused
from thousandeyes.gate import QuotaGate
from thousandeyes.outcomes import UNHEARD, Outcome
from thousandeyes.record import Record
from thousandeyes.text import counted

Logger = logging.Logger | logging.LoggerAdapter[logging.Logger]
Item = TypeVar("Item")


class Sending:
    """The calls of one run. Only a stated reason stops them.

    `stopped` says what made the run stop early, if anything did.

    Args:
        records: All that may be sent; they are updated in place.
        own_run: Tells whether the run is still this process's.
        keep: Writes down how a record stands.
        logger: Where the person on call looks.
        clock: Seconds on a clock that keeps running while the machine sleeps.
    """

    def __init__(
        self,
        records: Sequence[Record],
        own_run: OwnRun,
        keep: Callable[[Record], Awaitable[None]],
        logger: Logger,
        clock: Callable[[], float] = elapsed,
    ) -> None:
        self.stopped: str | None = None
        self._records = records
        self._own_run = own_run
        self._keep = keep
        self._logger = logger
        self._clock = clock
        self._deadline = math.inf
        self._at_the_deadline = ""
        self._breaker = Breaker()
        self._under_way: list[Record] = []
        self._gate: QuotaGate | None = None
        self._now: Callable[[], datetime] = partial(datetime.now, UTC)
        self._closed: dict[str | None, str] = {}
        self._stopped_for_all = False

    @contextmanager
    def through(self, client: Caller, deadline_minutes: float | None = None) -> Iterator[None]:
        """Send through this client in the block; when the deadline comes, the run stops."""
        self._gate, self._now = client.gate, client.now
        if deadline_minutes is None:
            yield
            return
        self._at_the_deadline = f"the deadline of {counted(deadline_minutes, 'minute')} has passed"
        self._deadline = self._clock() + deadline_minutes * 60
        timer = asyncio.get_running_loop().call_later(
            deadline_minutes * 60, lambda: self.stop(self._at_the_deadline, begun_too=True)
        )
        try:
            yield
        finally:
            timer.cancel()

    async def all(
        self,
        items: Sequence[Item],
        turn: Callable[[Item], Awaitable[None]],
        at_a_time: int = 1,
    ) -> None:
        """Give each its turn, in this order; return when the last turn is over."""
        queue = iter(items)

        async def work() -> None:
            for item in queue:
                await turn(item)

        await all_or_first_error([work() for _ in range(min(at_a_time, len(items)))])
        if self.stopped:
            self._tell_the_rest(self.stopped)

    async def send(
        self,
        record: Record,
        call: Callable[..., Awaitable[object]],
        write_ahead: Callable[[], Awaitable[bool]],
    ) -> int | None:
        """Make a record's call: write ahead, call, and stop the run if the error asks for it.

        Args:
            record: The test. It holds what came of the call in every case.
            call: Makes the call, with retries. It awaits `before_sending` before each goes out, and
                `before_waiting` before each wait to send it again.
            write_ahead: Records what must be known if this process is killed during the call;
                returns whether there was anything to write. If the call is not carried out, that is
                corrected before the wait to send it again, which may be long.

        Returns:
            The record's place in the order of the calls, for `count`; None if the run had
            stopped before.
        """
        if reason := self.stopped or self._closed.get(record.aid):
            record.failed(RunStopped(reason))
            return None

        self._under_way.append(record)
        try:
            await self._call(record, call, write_ahead)
        except TokenRefused:
            self.stop("the token was refused (401): has it expired, or is its user locked?")
        except CallFailed:
            pass  # the record holds it, and the task has logged it
        except (NoAccess, Pause) as error:
            # Prefect begins no task of a suspended run, and calls under way may end.
            self.stop(SUSPENDED if isinstance(error, Pause) else str(error), begun_too=True)
        except Exception as error:
            test = record.test_id or repr(record.test_name)
            self._logger.exception("Test %s: unexpected error", test)
            record.noted(f"unexpected {type(error).__name__}")
        if self._gate and self._gate.silence:
            self.stop(self._gate.silence, begun_too=True)
        return self._breaker.take_place(record.aid)

    async def _call(
        self,
        record: Record,
        call: Callable[..., Awaitable[object]],
        write_ahead: Callable[[], Awaitable[bool]],
    ) -> None:
        wrote = False

        async def before_sending() -> None:
            nonlocal wrote
            try:
                await self.confirm()
                if wrote := await write_ahead():
                    # A process that continued the run either sees this write or is seen here.
                    await self.confirm(trusted=0)
            except BaseException:
                record.not_sent("not sent, because it could not be recorded first")
                raise

        async def before_waiting() -> None:
            if wrote and not (record.in_doubt or self._own_run.lost):
                await self._keep(record)

        await call(before_sending=before_sending, before_waiting=before_waiting)

    async def confirm(self, trusted: float = TRUSTED) -> None:
        """Return when the run is still this process's and continues; else stop it.

        Args:
            trusted: Seconds for which the latest answer counts.

        Raises:
            RunStopped: It is not, somebody cancels it, its deadline has come, or it was stopped
                for all of its calls.
        """
        try:
            await self._own_run.confirm(trusted)
        except RunStopped as error:
            self.stop(str(error), begun_too=True)
            raise
        if self._clock() >= self._deadline:  # the timer stands still while the machine sleeps
            self.stop(self._at_the_deadline, begun_too=True)
        if self._stopped_for_all:  # while a call that was past the gate waited here
            raise RunStopped(self.stopped)

    async def finish(self, record: Record) -> None:
        """Record how a test that was sent stands."""
        record.finished(self._now())
        # If the run continues in another process, this one records only what it sent: the other
        # may have sent the rest.
        if not (self._own_run.lost and record.outcome in UNHEARD):
            try:
                with self._own_run.doubted_if_slow():
                    await self._keep(record)
            except NoAccess as error:
                self._logger.error("Test %s: %s, not recorded", record.test_id, record.outcome)  # noqa: TRY400
                self.stop(str(error), begun_too=True)
        self._under_way.remove(record)

    def count(self, place: int, record: Record) -> None:
        """Let the breaker see how a record ended; it may stop the run or an account group."""
        if reason := self._breaker.note(place, record.outcome):
            self.stop(reason)
        elif reason := self._breaker.closes(record.aid):
            if {other.aid for other in self._records} == {record.aid}:
                self.stop(reason)
            elif record.aid not in self._closed:
                self._closed[record.aid] = reason
                self._logger.error("Account group %s is left out: %s", record.aid, reason)

    def stop(self, reason: str, *, begun_too: bool = False) -> None:
        """Send nothing more; tests that a call went out for may finish, unless `begun_too`."""
        if not self.stopped:
            self.stopped = reason
            self._logger.error("The run stops early: %s", reason)
        self._stopped_for_all |= begun_too
        if self._gate:
            self._gate.stop(reason, begun_too=begun_too)

    def cut_short(self, reason: str) -> None:
        """Note that the run ends here; tests that had no turn get the reason."""
        self.stopped = reason
        self._tell_the_rest(reason)
        for record in self._under_way:
            record.finished(self._now())

    async def close(self) -> None:
        """Record the tests that were under way when the run was cut short."""
        await asyncio.gather(*map(self.finish, list(self._under_way)))

    def _tell_the_rest(self, reason: str) -> None:
        for record in self._records:
            if record.outcome is Outcome.NOT_ATTEMPTED:
                record.failed(RunStopped(reason))
