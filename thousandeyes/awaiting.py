"""Waiting for results: the loop that reads those of many tests at once, when `watch` says so."""

import asyncio
import math
from collections import Counter, defaultdict
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence, Set
from functools import partial
from typing import Final

from thousandeyes.errors import CallFailed, Refused, TokenRefused
from thousandeyes.queries import TESTS_PER_CALL, Query, queries
from thousandeyes.results import ROUND_SECONDS, Kind, Read, first_round, rounds
from thousandeyes.together import MOST_REFUSALS, ask_together
from thousandeyes.waiting import wait_for_event
from thousandeyes.watch import FAILURES_IN_A_ROW, AwaitedTest, Watch

LAST_LOOK: Final = 60.0
"""Seconds that a look may last beyond the earliest deadline of its tests. The last look begins only
at that deadline, and may have to wait for the organization's next window."""


class Awaiting:
    """Awaits the results of tests; more tests can be added while it runs.

    Each account group is followed separately, so one whose results can't be read, or only slowly,
    doesn't affect the others. A refused token ends the waiting for all.

    Args:
        read: Makes the calls, within the quota.
        on_done: Called and awaited with each test that is done, and with what kept its results from
            being read to the end, if anything did.
        clock: Returns seconds on a clock that never goes back.
    """

    def __init__(
        self,
        read: Read,
        on_done: Callable[[AwaitedTest, str], Awaitable[None]],
        *,
        clock: Callable[[], float],
    ) -> None:
        self._read = read
        self._on_done = on_done
        self._clock = clock
        self._watches: defaultdict[str | None, Watch] = defaultdict(Watch)
        self._changed = asyncio.Event()
        self._no_more = False
        self._failures: Counter[str | None] = Counter()
        self._given_up: dict[str | None, str] = {}
        self._all_given_up: str | None = None

    def __len__(self) -> int:
        return sum(map(len, self._watches.values()))

    def add(self, test: AwaitedTest) -> None:
        """Await one more test; its account group has to be followed."""
        self._watches[test.aid].add(test)
        self._wake()

    def close(self) -> None:
        """Say that no more tests come, so that the waiting ends with the last one."""
        self._no_more = True
        self._wake()

    async def follow(self, aid: str | None) -> None:
        """Look for an account group's results until it has no test left and none will come."""
        watch = self._watches[aid]
        while not self._no_more or len(watch):
            changed, wait = self._changed, watch.wait(self._clock())
            given_up = self._given_up.get(aid, self._all_given_up)
            if given_up is not None and wait is not None:
                await self._done((test, given_up) for test in watch.give_up())
            elif wait is None or wait > 0:
                limit = math.inf if wait is None else wait
                await wait_for_event(changed, limit, asyncio.sleep)
            else:
                due = watch.due(self._clock())
                trouble = await self._look(aid, due)
                await self._done((test, trouble) for test in watch.looked(due, self._clock()))

    def give_up(self, reason: str) -> None:
        """Stop looking: what is known of each test has to do."""
        self._all_given_up = reason
        self._wake()

    def give_up_on(self, aid: str | None, reason: str) -> None:
        """Stop looking for the results of an account group."""
        self._given_up[aid] = reason
        self._wake()

    async def _look(self, aid: str | None, due: Sequence[AwaitedTest]) -> str:
        """Read the results of an account group's tests; return what stopped that, if anything."""
        ends_at = min(test.gives_up_at for test in due) + LAST_LOOK
        try:
            async with asyncio.timeout(ends_at - self._clock()):
                await read_results(self._read, due)
        except TimeoutError:
            return "the time for results ran out"
        except CallFailed as error:
            self._failures[aid] += 1
            if isinstance(error, TokenRefused):
                self.give_up(str(error))
            elif self._failures[aid] > FAILURES_IN_A_ROW:
                self.give_up_on(aid, str(error))
            return str(error)
        self._failures[aid] = 0
        return ""

    async def _done(self, tests: Iterable[tuple[AwaitedTest, str]]) -> None:
        await asyncio.gather(
            *(self._on_done(test, _told(test, trouble)) for test, trouble in tests)
        )

    def _wake(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()


def _told(test: AwaitedTest, trouble: str) -> str:
    if test.refusal:
        return str(test.refusal)
    return "" if test.complete else trouble


async def read_results(read: Read, tests: Sequence[AwaitedTest], now: float | None = None) -> None:
    """Look for results of tests once, and add what is there to them.

    If the API refuses to answer for some, but not for all, these note its refusal.

    Args:
        read: Makes the calls, as `Caller.read` does.
        tests: The tests.
        now: The server's time in epoch seconds, to read no more than can count; None if rounds may
            still come.

    Raises:
        CallFailed: One of its subclasses.
    """
    answered, refusals = False, iter(range(MOST_REFUSALS))
    refused: list[tuple[AwaitedTest, Kind, Refused]] = []

    async def read_some(query: Query, test_ids: Iterable[str]) -> None:
        nonlocal answered
        await _read_pages(read, query.of(test_ids), now)
        answered = True

    try:
        for kind in Kind:
            for query in queries(kind, tests):
                ids, ask = [*query.tests], partial(read_some, query)
                async for test_id, error in ask_together(ask, ids, refusals):
                    refused.append((query.tests[test_id], kind, error))
    finally:
        alone = [each for each in refused if answered or each[0].refusal]
        for test, kind, error in alone:
            test.refusals.setdefault(kind, []).append(error)
    if len(alone) < len(refused):
        raise refused[0][2]


async def _read_pages(read: Read, query: Query, now: float | None) -> None:
    """Read pages for as long as they hold something new."""
    total, until = None, query.until(now)
    pages = rounds(read, query.kind, query.tests, since=query.since, until=until, aid=query.aid)
    async for page in pages:
        total = page.total
        query.take(page.rows)
        if query.answered or query.nothing_new(total):
            break
        if query.too_soon(total):
            query.postpone(total)
            return
    query.read_to_the_end(total)


async def newest_rounds(
    read: Read,
    tests: Mapping[str, Set[Kind]],
    *,
    since: float,
    aid: str | None = None,
    interval: int = ROUND_SECONDS,
) -> tuple[dict[str, int], dict[str, Refused]]:
    """Return the newest round of each test that has one since a moment, and whom the API refuses.

    Args:
        read: Makes the calls, as `Caller.read` does.
        tests: The tests' IDs, each with the kinds of results that it may have.
        since: The moment, in the server's epoch seconds; the round that it lies in counts.
        aid: Account group; by default the client's own.
        interval: Seconds between the rounds of all these tests.

    Raises:
        CallFailed: One of its subclasses, also if the API refuses each of the tests.
    """
    newest: dict[str, int] = {}
    refused: dict[str, Refused] = {}
    first, refusals = first_round(since, interval), iter(range(MOST_REFUSALS))

    async def ask(some: Sequence[str]) -> None:
        for kind in Kind:
            having = [test_id for test_id in some if kind in tests[test_id]]
            async for page in rounds(read, kind, having, since=first, aid=aid):
                for row in page.rows:
                    newest[row.test_id] = max(row.round_id, newest.get(row.test_id, 0))

    test_ids = [*tests]
    for start in range(0, len(tests), TESTS_PER_CALL):
        part = test_ids[start : start + TESTS_PER_CALL]
        refused |= {test_id: error async for test_id, error in ask_together(ask, part, refusals)}
    if tests and len(refused) == len(tests):
        raise next(iter(refused.values()))
    return newest, refused
