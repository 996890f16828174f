"""What comes of the results of a run: they are awaited and judged, and settle what is in doubt."""

import time
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime

from flows.rerun.baseline import Baseline
from flows.rerun.options import RerunOptions
from flows.runs.sending import Logger
from thousandeyes import watch
from thousandeyes.app_links import app_link
from thousandeyes.awaiting import Awaiting, read_results
from thousandeyes.client import ThousandEyesClient
from thousandeyes.delivery import Delivery
from thousandeyes.errors import CallFailed
from thousandeyes.expected import kinds_of
from thousandeyes.judging import judge
from thousandeyes.outcomes import Outcome, VerdictName
from thousandeyes.queries import TESTS_PER_CALL
from thousandeyes.record import Record
from thousandeyes.results import Kind
from thousandeyes.rounds import HttpRound
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
        self._client = client
        self._options = options
        self._thresholds = thresholds
        self._baseline = baseline
        self._on_known = on_known
        self._clock = clock
        self._awaiting = Awaiting(client.read, self._done, clock=clock)
        self._records: dict[str, Record] = {}
        self._logger = logger

    def __len__(self) -> int:
        return len(self._awaiting)

    def begin(self, record: Record, *, at_once: bool = False) -> bool:
        """Await a test's results if there is anything to learn from them; tell whether there is.

        Args:
            record: The test, sent.
            at_once: Whether it was sent long ago, so that the results may be there.
        """
        if record.outcome is Outcome.ACCEPTED:
            self._link(record)
        if not wants_results(record, self._options):
            return False
        rounds_after = self._baseline.rounds_after(record)
        if rounds_after is None:
            return False
        now = self._clock()
        gives_up_at = now + self._options.results_deadline_minutes * 60
        self._records[record.test_id] = record
        self._awaiting.add(
            Watched(
                record.test_id,
                rounds_after,
                kinds_of(self._baseline.tests.get(record.test_id)),
                gives_up_at=gives_up_at,
                next_poll=now if at_once else min(now + watch.FIRST_POLL, gives_up_at),
                expected=self._baseline.expected_agents(record),
                any_row_will_do=not self._options.wait_for_results,
                aid=record.aid,
                interval=self._baseline.interval(record),
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

    async def read_again(
        self, records: Sequence[Record], later: Mapping[str, Collection[int]]
    ) -> str:
        """Read the results of a run that is over, once, and judge its tests by them.

        A test is judged by the rounds of its own rerun. A verdict that rests on more agents than
        the API tells of by now stays. `on_known` is awaited with each record that changed.

        Args:
            records: The tests.
            later: The rounds after which those of other reruns begin, by test ID.

        Returns:
            What kept the rest from being read, in words; empty when all were.
        """
        for start in range(0, len(records), TESTS_PER_CALL):
            some = records[start : start + TESTS_PER_CALL]
            tests = {record.test_id: self._as_it_is_now(record, later) for record in some}
            watched = [test for test in tests.values() if test]
            try:
                await read_results(self._client.read, watched, self._client.server_time())
            except CallFailed as error:
                return str(error)
            for record in some:
                if test := tests[record.test_id]:
                    await self._take_again(record, test)
        return ""

    def _as_it_is_now(self, record: Record, later: Mapping[str, Collection[int]]) -> Watched | None:
        own, now = self._baseline.own_rounds(record, later.get(record.test_id, ())), self._clock()
        if own is None:
            return None
        before = record.verdict.agents_expected if record.verdict else None
        return Watched(
            record.test_id,
            own.after,
            kinds_of(self._baseline.tests.get(record.test_id)),
            gives_up_at=now,
            next_poll=now,
            # Those that are online now need not be those that were.
            expected=self._options.expected_agents or before,
            aid=record.aid,
            interval=self._baseline.interval(record),
            rounds_until=own.until,
        )

    async def _take_again(self, record: Record, watched: Watched) -> None:
        outcome, before = record.outcome, record.verdict
        if record.in_doubt and watched.rows:
            self._settle(record, watched, "")
        if record.outcome is not Outcome.ACCEPTED:
            return
        self._judge(record, watched, "", complete=True)
        answered = len({row.agent_id for row in watched.rows})
        if before and answered < before.agents_answered:
            self._logger.warning(
                "Test %s: the API tells of %d agents by now, and told of %d: the verdict stays",
                record.test_id,
                answered,
                before.agents_answered,
            )
            record.judged(before)
        if (record.outcome, record.verdict) != (outcome, before):
            self._link(record, watched)
            await self._on_known(record)

    async def _done(self, watched: Watched, trouble: str) -> None:
        record = self._records.pop(watched.test_id)
        if record.in_doubt:
            self._settle(record, watched, trouble)
        if record.outcome is Outcome.ACCEPTED:
            self._link(record, watched)
            if self._options.wait_for_results:
                self._judge(record, watched, trouble, complete=watched.complete)
        await self._on_known(record)

    def _settle(self, record: Record, watched: Watched, trouble: str) -> None:
        if rows := watched.rows:
            record.settled(datetime.fromtimestamp(min(row.round_id for row in rows), UTC))
        elif trouble:
            record.noted(f"its results can't be read: {trouble}")
        else:
            minutes = self._options.results_deadline_minutes
            record.noted(f"no round of it within {minutes:g} minutes, which proves nothing")
        self._logger.info("Test %s: %s, %s", record.test_id, record.outcome, record.detail)

    def _link(self, record: Record, watched: Watched | None = None) -> None:
        """Link to what is known of the test, unless that isn't wanted."""
        if not self._options.link_to_app:
            return
        rows = watched.rows if watched else []
        has_http = any(isinstance(row, HttpRound) for row in rows)
        record.linked(
            app_link(
                record.test_id,
                app=self._client.settings.app,
                kind=Kind.HTTP_SERVER if has_http else Kind.NETWORK,
                aid=record.aid or self._client.settings.aid,
                round_id=max((row.round_id for row in rows), default=None),
            )
        )

    def _judge(self, record: Record, watched: Watched, trouble: str, *, complete: bool) -> None:
        verdict = judge(
            watched.rows,
            self._thresholds.get(record.test_id, self._options.thresholds),
            expected=watched.expected,
            complete=complete,
            too_early=not trouble and self._baseline.is_too_early(record),
            agent_names=self._baseline.agent_names
            if self._options.name_laptops_and_networks
            else {},
        )
        if trouble:
            why = f"provisional: the results could not be read to the end: {trouble}"
            verdict = replace(verdict, reason=f"{verdict.reason}; {why}", provisional=True)
        record.judged(verdict)
        log = self._logger.info if verdict.name is VerdictName.PASSED else self._logger.warning
        log("Test %s: %s", record.test_id, verdict.sentence)


def wants_results(record: Record, options: RerunOptions) -> bool:
    """Tell whether a test's results would tell what isn't known of it yet."""
    if record.in_doubt:
        return options.delivery is Delivery.AT_MOST_ONCE
    return (
        options.wait_for_results and record.outcome is Outcome.ACCEPTED and record.verdict is None
    )
