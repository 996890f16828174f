"""What comes of the results of a run: they are awaited and judged, and settle what is in doubt."""

import time
from collections.abc import Awaitable, Callable, Collection, Mapping

from flows.rerun.baseline import Baseline
from flows.rerun.judging import Judging
from flows.rerun.options import RerunOptions
from flows.runs.sending import Logger
from thousandeyes import watch
from thousandeyes.awaiting import Awaiting
from thousandeyes.client import ThousandEyesClient
from thousandeyes.delivery import Delivery
from thousandeyes.expected import is_http, kinds_of
from thousandeyes.outcomes import Outcome
from thousandeyes.record import Record
from thousandeyes.thresholds import Thresholds
from thousandeyes.watch import Watched


class Results:
    """The results of one run's tests: awaited, judged, and used to settle what is in doubt.

    Args:
        client: The run's client.
        options: Whether to wait, for whom and how long.
        thresholds: What the results of a test must keep to, by its ID; else the options'.
        baseline: What was known before anything was sent.
        on_known: Is awaited with each record when all is known that results will tell of it.
        logger: Where the person on call looks.
        clock: Seconds on a clock that never goes back.
    """

    def __init__(
        self,
        client: ThousandEyesClient,
        options: RerunOptions,
        thresholds: Mapping[str, Thresholds],
        baseline: Baseline,
        *,
        on_known: Callable[[Record], Awaitable[None]],
        logger: Logger,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._options = options
        self._baseline = baseline
        self._judging = Judging(client, options, thresholds, baseline, logger)
        self._on_known = on_known
        self._clock = clock
        self._awaiting = Awaiting(client.read, self._done, clock=clock)
        self._records: dict[str, Record] = {}
        self._logger = logger

    def __len__(self) -> int:
        return len(self._awaiting)

    def begin(self, record: Record, *, at_once: bool = False, others: Collection[int] = ()) -> bool:
        """Await a test's results if there is anything to learn from them; tell whether there is.

        Args:
            record: The test, sent.
            at_once: Whether it was sent long ago, so that the results may be there.
            others: The rounds after which those of other runs of the test begin.
        """
        if record.outcome is Outcome.ACCEPTED:
            self._judging.link(record)
        if not wants_results(record, self._options):
            return False
        own = self._baseline.own_rounds(record, others)
        if own is None:
            return False
        now, test = self._clock(), self._baseline.tests.get(record.test_id)
        gives_up_at = now + self._options.results_deadline_minutes * 60
        self._records[record.test_id] = record
        self._awaiting.add(
            Watched(
                record.test_id,
                own.after,
                kinds_of(test),
                gives_up_at=gives_up_at,
                next_poll=now if at_once else min(now + watch.FIRST_POLL, gives_up_at),
                expected=self._baseline.expected_agents(record),
                any_row_will_do=not self._options.wait_for_results,
                aid=record.aid,
                interval=self._baseline.interval(record),
                # How long the calls of a test sent just now took is not known yet.
                rounds_until=own.until if at_once else None,
                is_http=is_http(test),
            )
        )
        return True

    def close(self) -> None:
        """Say that all tests have been sent."""
        if len(self):
            self._logger.info("All is sent; the results of %d tests are awaited", len(self))
        self._awaiting.close()

    def give_up(self, reason: str) -> None:
        """Look for nothing any more: what is known of each test has to do."""
        self._awaiting.give_up(reason)

    async def follow(self) -> None:
        """Look for results until those of the last test are known."""
        try:
            await self._awaiting.follow()
        except Exception as error:
            self._logger.exception("Unexpected error while results are awaited")
            self._awaiting.give_up(f"unexpected {type(error).__name__}, see the log")
            await self._awaiting.follow()

    async def _done(self, watched: Watched, trouble: str) -> None:
        record = self._records.pop(watched.test_id)
        if record.in_doubt:
            self._judging.settle(record, watched, trouble)
        if record.outcome is Outcome.ACCEPTED:
            self._judging.link(record, watched)
            if self._options.wait_for_results:
                self._judging.judge(record, watched, trouble)
        await self._on_known(record)


def wants_results(record: Record, options: RerunOptions) -> bool:
    """Tell whether a test's results would tell what isn't known of it yet."""
    if record.in_doubt:
        return options.delivery is Delivery.AT_MOST_ONCE
    return (
        options.wait_for_results and record.outcome is Outcome.ACCEPTED and record.verdict is None
    )
