"""The results of a run that is over: read once more to judge its tests."""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import replace
from typing import Final

from flows.rerun.judging import Judging
from flows.rerun.later_runs import Others
from flows.rerun.looking_up import ask_each
from thousandeyes.awaiting import read_results
from thousandeyes.errors import Refused
from thousandeyes.expected import is_http, kinds_of
from thousandeyes.outcomes import Outcome
from thousandeyes.queries import TESTS_PER_CALL
from thousandeyes.record import Record
from thousandeyes.verdict import Verdict
from thousandeyes.watch import AwaitedTest

LONGEST: Final = 600.0
"""Seconds in which the results of `TESTS_PER_CALL` tests must be read. If these fill all the pages
that are read of each kind, that takes two minutes of the organization's whole quota."""
_NOW: Final = 0.0
"""The only poll is due now, and is the last."""


class ReadingAgain:
    """Reads results of a run that is over, and brings its records up to date.

    `fewer` holds how many agents the API reports now and reported then, by the ID of each test
    whose verdict stays because they became fewer.

    Args:
        judging: Judges a test by what was read; knows the run's options and its baseline.
        on_known: Called with each record that changed.
    """

    def __init__(
        self,
        judging: Judging,
        *,
        on_known: Callable[[Record], Awaitable[None]],
    ) -> None:
        self._judging = judging
        self._on_known = on_known
        self.fewer: dict[str, tuple[int, int]] = {}

    async def read(self, records: Sequence[Record], others: Others) -> str:
        """Read what there is of the tests' own rounds, and judge by it.

        A verdict that was final stays, and so does one that rests on more agents than the API now
        reports. For the former, what the laptops report of themselves is read again.

        Args:
            records: The tests.
            others: Where the rounds of other reruns begin.

        Returns:
            Why some could not be read, in words, by account group if there are several; empty if
            all were read.
        """
        groups: dict[str | None, list[Record]] = {}
        for record in records:
            groups.setdefault(record.aid, []).append(record)

        async def ask(aid: str | None) -> None:
            refused: list[Refused] = []
            for start in range(0, len(groups[aid]), TESTS_PER_CALL):
                part = groups[aid][start : start + TESTS_PER_CALL]
                refused += await self._read_part(part, others)
            if refused:
                raise refused[0]

        return await ask_each(groups, ask)

    async def _read_part(self, records: Sequence[Record], others: Others) -> list[Refused]:
        """Read what there is of some tests; return why the API refused those that stay."""
        some = [
            (record, test)
            for record in records
            if (test := self._watched(record, others.get(record.test_id, ())))
        ]
        tests = [test for _, test in some]
        client = self._judging.client
        async with asyncio.timeout(LONGEST):  # not of writing, which may wait for Prefect
            await read_results(client.read, tests, client.server_time())
        for record, test in some:
            if not test.refusal:
                await self._take(record, test)
        return [test.refusal for test in tests if test.refusal]

    def _watched(self, record: Record, others: Collection[int]) -> AwaitedTest | None:
        baseline = self._judging.baseline
        own = baseline.own_rounds(record, others)
        if own is None:
            return None
        test = baseline.tests.get(record.test_id)
        return AwaitedTest(
            record.test_id,
            own.after,
            kinds_of(test),
            gives_up_at=_NOW,
            next_poll=_NOW,
            aid=record.aid,
            interval=baseline.interval(record),
            rounds_until=own.until,
            is_http=is_http(test),
        )

    async def _take(self, record: Record, watched: AwaitedTest) -> None:
        outcome, before = record.outcome, record.verdict
        if record.in_doubt and watched.rows:
            self._judging.settle(record, watched)
        if record.outcome is not Outcome.ACCEPTED:
            return
        # Only now, lest reading end once so many have answered. The agents online now need not be
        # those that were online then.
        expected = self._judging.options.expected_agents
        watched.expected = expected or (before.agents_expected if before else None)
        too_early = self._judging.baseline.is_too_early(record)
        found = self._judging.verdict_on(record, watched, complete=True, too_early=too_early)
        # Some of these have not answered if it is an HTTP test, which may not have been known.
        told = len({row.agent_id for row in watched.rows})
        if before and (not before.provisional or told < before.agents_answered):
            self._keep(record, before, found, told)
            return
        self._judging.take(record, found)
        if (outcome, before) != (record.outcome, record.verdict):
            self._judging.link(record, watched)
            await self._on_known(record)

    def _keep(self, record: Record, before: Verdict, found: Verdict, told: int) -> None:
        if told < before.agents_answered:
            self.fewer[record.test_id] = told, before.agents_answered
            self._judging.logger.warning(
                "Test %s: the API now reports %d agents, before it was %d: the verdict stays",
                record.test_id,
                told,
                before.agents_answered,
            )
        else:
            record.judged(replace(before, failing=found.failing, sightings=found.sightings))
