"""What a run has to do with results: note what is there, await what comes, judge, settle."""

import asyncio
import logging
import math
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Final

from flows.rerun.options import RerunOptions
from thousandeyes import watch
from thousandeyes.app_links import app_link
from thousandeyes.awaiting import Awaiting, newest_rounds
from thousandeyes.client import ThousandEyesClient
from thousandeyes.errors import CallFailed, Outcome
from thousandeyes.expected import expected_agents, kinds_of
from thousandeyes.models import EndpointTest
from thousandeyes.rerun import Delivery, Rerun
from thousandeyes.results import ROUND_SECONDS, Kind, first_round
from thousandeyes.rounds import HttpRound
from thousandeyes.thresholds import Thresholds
from thousandeyes.verdict import VerdictName, judge
from thousandeyes.watch import Watched

Logger = logging.Logger | logging.LoggerAdapter[logging.Logger]

_LONGEST_PREPARATION: Final = 60.0  # seconds


class Results:
    """The results of one run's tests: awaited, judged, and used to settle what is in doubt.

    Args:
        client: The run's client.
        options: Whether to wait, for whom and how long.
        thresholds: What the results of a test must keep to, by its ID; else the options'.
        on_known: Is awaited with each record when all is known that results will tell of it.
        logger: Where the person on call looks.
        clock: Seconds on a clock that never goes back.
        sleep: Waits that many seconds by the same clock.
    """

    def __init__(
        self,
        client: ThousandEyesClient,
        options: RerunOptions,
        thresholds: Mapping[str, Thresholds],
        *,
        on_known: Callable[[Rerun], Awaitable[None]],
        logger: Logger,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._client = client
        self._options = options
        self._thresholds = thresholds
        self._on_known = on_known
        self._settles = options.delivery is Delivery.AT_MOST_ONCE
        self._clock = clock
        self._sleep = sleep
        self._awaiting = Awaiting(client, self._done, clock=clock, sleep=sleep)
        self._records: dict[str, Rerun] = {}
        self._tests: Mapping[str, EndpointTest] = {}
        self._agent_names: Mapping[str, str] = {}
        self._online: frozenset[str] | None = None
        self._standing: Mapping[str, int] | None = None
        self._logger = logger

    def __len__(self) -> int:
        return len(self._awaiting)

    async def prepare(self, records: Sequence[Rerun], tests: Mapping[str, EndpointTest]) -> None:
        """Find out who can answer, and which rounds are there before anything is sent.

        Args:
            records: The tests that will be sent.
            tests: What the API lists of them, by ID.
        """
        self._tests = tests
        if self._options.wait_for_results:
            await self._look_for_agents()
        if self._options.wait_for_results or self._settles:
            await self._look_for_rounds([record.test_id for record in records])

    def has_just_run(self, record: Rerun) -> bool:
        """Tell whether the test's latest round began in the minute in which this run did."""
        return record.test_id in (self._standing or {})

    async def wait_for_a_new_minute(self, record: Rerun) -> None:
        """Wait until a round of this rerun can be told from the one that is there already.

        Rounds are named by the minute in which they begin.
        """
        server_time = self._client.server_time()
        if self.has_just_run(record) and self._standing and server_time is not None:
            left = self._standing[record.test_id] + ROUND_SECONDS - server_time
            if 0 < left <= ROUND_SECONDS:
                self._logger.info(
                    "Test %s ran within this minute: waits %.0f s, so that its rounds differ",
                    *(record.test_id, left),
                )
                await self._sleep(left + 1)  # the server's time is known to the second

    def sending(self, record: Rerun) -> None:
        """Note, right before a test's first call goes out, which rounds can be its own."""
        server_time = self._client.server_time()
        if record.rounds_after is None and self._standing is not None and server_time is not None:
            earlier = first_round(server_time) - ROUND_SECONDS
            record.rounds_after = max(earlier, self._standing.get(record.test_id, 0))

    def begin(self, record: Rerun, *, at_once: bool = False) -> bool:
        """Await a test's results if there is anything to learn from them; tell whether there is.

        Args:
            record: The test, sent.
            at_once: Whether it was sent long ago, so that the results may be there.
        """
        if record.outcome is Outcome.ACCEPTED:
            self._link(record)
        if not wants_results(record, self._options):
            return False
        rounds_after = record.rounds_after
        if rounds_after is None:
            rounds_after = self._by_time(record)
        if rounds_after is None:
            return False
        test, now = self._tests.get(record.test_id), self._clock()
        expected = self._options.expected_agents or expected_agents(test, self._online)
        self._records[record.test_id] = record
        self._awaiting.add(
            Watched(
                record.test_id,
                rounds_after,
                kinds_of(test),
                gives_up_at=now + self._options.results_deadline_minutes * 60,
                next_poll=now if at_once else now + watch.FIRST_POLL,
                expected=expected,
                any_row_will_do=not self._options.wait_for_results,
            )
        )
        return True

    def close(self) -> None:
        """Say that all tests have been sent."""
        if len(self):
            self._logger.info("All is sent; the results of %d tests are awaited", len(self))
        self._awaiting.close()

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
            self._settle(record, watched, trouble)
        if record.outcome is Outcome.ACCEPTED:
            self._link(record, watched)
            if self._options.wait_for_results:
                self._judge(record, watched, trouble)
        await self._on_known(record)

    def _settle(self, record: Rerun, watched: Watched, trouble: str) -> None:
        if rows := watched.rows:
            record.settled(datetime.fromtimestamp(min(row.round_id for row in rows), UTC))
        elif trouble:
            record.detail += f"; its results can't be read: {trouble}"
        else:
            minutes = self._options.results_deadline_minutes
            record.detail += f"; no round of it within {minutes:g} minutes, which proves nothing"
        self._logger.info("Test %s: %s, %s", record.test_id, record.outcome, record.detail)

    def _link(self, record: Rerun, watched: Watched | None = None) -> None:
        """Link to what is known of the test, unless that isn't wanted."""
        if not self._options.link_to_app:
            return
        rows = watched.rows if watched else []
        has_http = any(isinstance(row, HttpRound) for row in rows)
        record.app_link = app_link(
            record.test_id,
            kind=Kind.HTTP_SERVER if has_http else Kind.NETWORK,
            aid=record.aid or self._client.settings.aid,
            round_id=max((row.round_id for row in rows), default=None),
        )

    def _judge(self, record: Rerun, watched: Watched, trouble: str) -> None:
        verdict = judge(
            watched.rows,
            self._thresholds.get(record.test_id, self._options.thresholds),
            expected=watched.expected,
            complete=watched.complete,
            agent_names=self._agent_names,
        )
        if trouble:
            sentence = f"{verdict.sentence}; the results could not be read to the end: {trouble}"
            verdict = replace(verdict, sentence=sentence)
        record.verdict = verdict
        log = self._logger.info if verdict.name is VerdictName.PASSED else self._logger.warning
        log("Test %s: %s", record.test_id, verdict.sentence)

    def _by_time(self, record: Rerun) -> int | None:
        """Return after which round a test was sent, by the time of sending alone.

        Enough for a test that was accepted. One in doubt must not be taken for accepted because
        somebody else ran it within the same minute.
        """
        if record.in_doubt or record.started_at is None:
            return None
        sent = self._client.server_time(record.started_at.timestamp())
        return None if sent is None else first_round(sent) - ROUND_SECONDS

    async def _look_for_agents(self) -> None:
        try:
            async with asyncio.timeout(_LONGEST_PREPARATION):
                agents = await self._client.agents()
        except (CallFailed, TimeoutError) as error:
            self._logger.warning("The agents are not known: %s", str(error) or "no answer in time")
            return
        now = self._client.server_time()
        online = [agent for agent in agents if agent.is_online(now or math.inf)]
        self._agent_names = {agent.agent_id: agent.name for agent in agents}
        self._online = frozenset(agent.agent_id for agent in online)
        self._logger.info("%d of %d agents are online", len(online), len(agents))

    async def _look_for_rounds(self, test_ids: Sequence[str]) -> None:
        if (now := self._client.server_time()) is None:
            return
        try:
            async with asyncio.timeout(_LONGEST_PREPARATION):
                self._standing = await newest_rounds(self._client, test_ids, since=now)
        except (CallFailed, TimeoutError) as error:
            reason = str(error) or "no answer in time"
            self._logger.warning("Results can't be read before anything is sent: %s", reason)


def wants_results(record: Rerun, options: RerunOptions) -> bool:
    """Tell whether a test's results would tell what isn't known of it yet."""
    if record.in_doubt:
        return options.delivery is Delivery.AT_MOST_ONCE
    return (
        options.wait_for_results and record.outcome is Outcome.ACCEPTED and record.verdict is None
    )
