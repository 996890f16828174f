"""What happens to a run's results: they are awaited and judged, and settle what is in doubt."""

import asyncio
import math
from collections.abc import Awaitable, Callable, Collection

from flows.rerun.judging import Judging
from flows.rerun.later_runs import Others, OthersOf
from flows.rerun.options import RerunOptions
from tasks.server_calls import NoAccess
from thousandeyes import watch
from thousandeyes.awaiting import Awaiting
from thousandeyes.delivery import Delivery
from thousandeyes.expected import is_http, kinds_of
from thousandeyes.outcomes import Outcome
from thousandeyes.record import Record
from thousandeyes.text import counted
from thousandeyes.watch import AwaitedTest


class Results:
    """The results of one run's tests: awaited, judged, and used to settle what is in doubt.

    Args:
        judging: Judges a test by what was read; knows the run's options and its baseline.
        others: Finds out where the rounds of other runs begin.
        on_known: Called with each record once all is known that results will show of it.
    """

    def __init__(
        self,
        judging: Judging,
        others: OthersOf,
        *,
        on_known: Callable[[Record], Awaitable[None]],
    ) -> None:
        self._judging = judging
        self._others_of = others
        self._others: dict[str | None, asyncio.Task[Others]] = {}
        self._on_known = on_known
        self._clock = asyncio.get_running_loop().time
        self._awaiting = Awaiting(judging.client.read, self._done, clock=self._clock)
        self._records: dict[str, Record] = {}

    def __len__(self) -> int:
        return len(self._awaiting)

    def begin(self, record: Record, *, at_once: bool = False, others: Collection[int] = ()) -> bool:
        """Await a test's results if there is anything to learn from them; return whether there is.

        Args:
            record: The test, sent.
            at_once: Whether it was sent long ago, so that the results may be there.
            others: The rounds after which those of other runs of the test begin.
        """
        options, baseline = self._judging.options, self._judging.baseline
        if record.outcome is Outcome.ACCEPTED:
            self._judging.link(record)
        if not wants_results(record, options):
            return False
        own = baseline.own_rounds(record, others)
        if own is None:
            return False
        now, test = self._clock(), baseline.tests.get(record.test_id)
        gives_up_at = now + options.results_deadline_minutes * 60
        self._records[record.test_id] = record
        self._awaiting.add(
            AwaitedTest(
                record.test_id,
                own.after,
                kinds_of(test),
                gives_up_at=gives_up_at,
                next_poll=now if at_once else min(now + watch.FIRST_POLL, gives_up_at),
                expected=baseline.expected_agents(record),
                any_row_will_do=not options.wait_for_results,
                aid=record.aid,
                interval=baseline.interval(record),
                # How long the calls of a test sent just now took is not known yet.
                rounds_until=own.until if at_once else math.inf,
                is_http=is_http(test),
            )
        )
        return True

    def close(self) -> None:
        """Say that all tests have been sent."""
        if len(self):
            words = "Everything is sent; waiting for the results of %s"
            self._judging.logger.info(words, counted(len(self), "test"))
        self._awaiting.close()

    def give_up(self, reason: str) -> None:
        """Stop looking: what is known of each test has to do."""
        self._awaiting.give_up(reason)

    async def follow(self, aid: str | None) -> None:
        """Look for results until those of the account group's last test are known."""
        try:
            await self._awaiting.follow(aid)
        except Exception as error:
            self._judging.logger.exception("Unexpected error while waiting for results")
            self._awaiting.give_up_on(aid, f"unexpected {type(error).__name__}, see the log")
            await self._awaiting.follow(aid)

    async def _done(self, watched: AwaitedTest, trouble: str) -> None:
        record = self._records[watched.test_id]
        if record.in_doubt:
            if watched.rows:
                trouble = await self._leave_out_others(record, watched) or trouble
                if not (watched.rows or watched.over or trouble):
                    self._awaiting.add(watched)  # a round of its own may still come
                    return
            self._judging.settle(record, watched, trouble)
        del self._records[watched.test_id]
        if record.outcome is Outcome.ACCEPTED:
            self._judging.link(record, watched)
            if self._judging.options.wait_for_results:
                self._judging.judge(record, watched, trouble)
        await self._on_known(record)

    async def _leave_out_others(self, record: Record, watched: AwaitedTest) -> str:
        """Let rounds that another run may have begun settle nothing.

        Other runs matter only for late rounds: a run that sent the test in the same minute shares
        its round. Returns what kept those runs from being found out, if anything did.
        """
        first = watched.rounds_after + watched.interval
        if min(row.round_id for row in watched.rows) <= first:
            return ""
        try:
            others = await self._ask_about_others(record.aid)
        except NoAccess as error:
            watched.end_rounds(first)
            return str(error)
        own = self._judging.baseline.own_rounds(record, others.get(record.test_id, ()))
        if own and any(row.round_id > own.until for row in watched.rows):
            watched.end_rounds(own.until)
        return ""

    async def _ask_about_others(self, aid: str | None) -> Others:
        """Find out what other runs sent of the tests in doubt, once for all of one look."""
        asking = self._others.get(aid)
        if not asking or asking.done():
            doubts = [one for one in self._records.values() if one.in_doubt and one.aid == aid]
            asking = asyncio.ensure_future(self._others_of(doubts, self._judging.baseline))
            self._others[aid] = asking
        return await asking


def wants_results(record: Record, options: RerunOptions) -> bool:
    """Tell whether a test's results would show something new."""
    if record.in_doubt:
        return options.delivery is Delivery.AT_MOST_ONCE
    return (
        options.wait_for_results and record.outcome is Outcome.ACCEPTED and record.verdict is None
    )
