"""What happens to a run's results: they are awaited and judged, and settle what is in doubt."""

import time
from collections.abc import Awaitable, Callable, Collection

from flows.rerun.judging import Judging
from flows.rerun.options import RerunOptions
from thousandeyes import watch
from thousandeyes.awaiting import Awaiting
from thousandeyes.delivery import Delivery
from thousandeyes.expected import is_http, kinds_of
from thousandeyes.outcomes import Outcome
from thousandeyes.record import Record
from thousandeyes.watch import Watched


class Results:
    """The results of one run's tests: awaited, judged, and used to settle what is in doubt.

    Args:
        judging: Judges a test by what was read; knows the run's options and its baseline.
        on_known: Called with each record once all is known that results will show of it.
        clock: Seconds on a clock that never goes back.
    """

    def __init__(
        self,
        judging: Judging,
        *,
        on_known: Callable[[Record], Awaitable[None]],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._judging = judging
        self._on_known = on_known
        self._clock = clock
        self._awaiting = Awaiting(judging.client.read, self._done, clock=clock)
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
            Watched(
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
                rounds_until=own.until if at_once else None,
                is_http=is_http(test),
            )
        )
        return True

    def close(self) -> None:
        """Say that all tests have been sent."""
        if len(self):
            words = "Everything is sent; waiting for the results of %d tests"
            self._judging.logger.info(words, len(self))
        self._awaiting.close()

    def give_up(self, reason: str) -> None:
        """Stop looking: what is known of each test has to do."""
        self._awaiting.give_up(reason)

    async def follow(self) -> None:
        """Look for results until those of the last test are known."""
        try:
            await self._awaiting.follow()
        except Exception as error:
            self._judging.logger.exception("Unexpected error while waiting for results")
            self._awaiting.give_up(f"unexpected {type(error).__name__}, see the log")
            await self._awaiting.follow()

    async def _done(self, watched: Watched, trouble: str) -> None:
        record = self._records.pop(watched.test_id)
        if record.in_doubt:
            self._judging.settle(record, watched, trouble)
        if record.outcome is Outcome.ACCEPTED:
            self._judging.link(record, watched)
            if self._judging.options.wait_for_results:
                self._judging.judge(record, watched, trouble)
        await self._on_known(record)


def wants_results(record: Record, options: RerunOptions) -> bool:
    """Tell whether a test's results would show something new."""
    if record.in_doubt:
        return options.delivery is Delivery.AT_MOST_ONCE
    return (
        options.wait_for_results and record.outcome is Outcome.ACCEPTED and record.verdict is None
    )
