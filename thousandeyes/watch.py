"""Which tests' results are still awaited, when to ask next, and when a test is done.

Pure decisions: time is passed in as seconds on any clock that never goes back, and nothing here
reads or waits. One rolling poll serves many tests. Each poll asks only for tests whose turn has
come, and for these only for the kinds of results that may still bring rows, because every page
takes a call from the organization's quota.
"""

import math
from collections.abc import Iterable, Iterator, Sequence, Set
from dataclasses import dataclass, field
from typing import Final

from thousandeyes.errors import Refused
from thousandeyes.results import ROUND_SECONDS, Kind
from thousandeyes.rounds import Measured

FIRST_POLL: Final = 10.0
"""Seconds from a test's acceptance to the first look at its results."""
GAPS: Final = (20.0, 40.0, 60.0)
"""Seconds between the following looks; the last gap repeats. By then a minute has passed, and the
first look at the tests of the next minute's quota is due: one call serves both."""
TOGETHER: Final = 5.0
"""Seconds that a look waits for those of other tests, so that one call serves them all."""
QUIET_POLLS: Final = 2
"""After this many looks in a row without a new row, no more answers are awaited."""
FAILURES_IN_A_ROW: Final = 3
"""How many reads may fail in a row; at the next failure, what could not be read is given up."""
EARLY: Final = 2
"""In this many first looks only the first page is read, unless all answers are there. Every page of
a test is read again at its next look, so reading all pages early would waste calls."""


@dataclass
class _Rows:
    """What is known of one kind of results of one test."""

    rows: dict[Measured, None] = field(default_factory=dict)
    """Each row once, in the order of reading."""
    agents: set[str] = field(default_factory=set)
    grew: bool = False
    quiet: int = 0


@dataclass
class AwaitedTest:
    """One test whose results are awaited, and what is known of them.

    Args:
        test_id: The test.
        rounds_after: Only rounds with a later ID count, in epoch seconds of the server's clock.
        rounds_until: Rounds with a later ID than this don't count.
        kinds: The kinds of results that the test may have.
        gives_up_at: When the last look is due.
        next_poll: When the next look is due.
        expected: The agents that should answer, or only how many; None or nobody if unknown. Then
            the test is done when no new row has come for a while.
        any_row_will_do: Whether a single row is enough.
        aid: The test's account group; by default the client's own.
        interval: Seconds between the test's rounds.
        is_http: Whether it is known to be an HTTP test; set also once it has an HTTP result. Each
            agent that runs such a test has one, if only of an error, whereas network results can
            be switched off.
    """

    test_id: str
    rounds_after: int
    kinds: frozenset[Kind]
    gives_up_at: float
    next_poll: float
    expected: Set[str] | int | None = None
    any_row_will_do: bool = False
    aid: str | None = None
    interval: int = ROUND_SECONDS
    rounds_until: float = math.inf
    is_http: bool = False
    polls: int = 0
    over: bool = False
    """Whether the last look was taken, whatever it showed."""
    postponed: bool = False
    """Whether the rest of its rows was left for the next look."""
    told: int | None = None
    """How many rows there were then, of this test and of those that were read with it."""
    refusals: dict[Kind, list[Refused]] = field(default_factory=dict)
    """What the API answered to the latest reads, if it refused them for this test alone."""
    _known: dict[Kind, _Rows] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self._known = {kind: _Rows() for kind in self.kinds}

    @property
    def rows(self) -> list[Measured]:
        """The rows that count, of all kinds."""
        return [row for kind in self.kinds for row in self._counting(kind)]

    @property
    def agents_expected(self) -> int | None:
        """How many agents should answer, with those that did so unexpectedly; None if unknown."""
        if not isinstance(self.expected, Set):
            return self.expected
        answered = set[str]().union(*(known.agents for known in self._known.values()))
        return len(self.expected) + len(answered - self.expected)

    @property
    def complete(self) -> bool:
        """Whether no more rows are expected."""
        if self.any_row_will_do and self.has_run:
            return True
        return not any(map(self._may_grow, self.kinds))

    @property
    def has_run(self) -> bool:
        """Whether there are rows that count."""
        return any(known.agents for known in self._known.values())

    @property
    def refusal(self) -> Refused | None:
        """What the API last answered, if it refuses a kind of this test's results."""
        return next((refusals[-1] for refusals in self.refusals.values()), None)

    @property
    def has_later_rounds(self) -> bool:
        """Whether there are rows that don't count because their rounds are too late."""
        rows = (row for known in self._known.values() for row in known.rows)
        return any(row.round_id > self.rounds_until for row in rows)

    def end_rounds(self, until: int) -> None:
        """Let no round after this one count any more, and await those that do."""
        self.rounds_until = until
        for kind, known in self._known.items():
            known.agents, known.quiet = {row.agent_id for row in self._counting(kind)}, 0

    def wants(self, kind: Kind) -> bool:
        """Tell whether to read this kind of results now.

        Network results show when a test has run, and all but a few tests have them. The other kind
        is read once there are some, or if they don't come, or if this is the last look.
        """
        if kind not in self.kinds or self.complete or self.postponed or not self._may_grow(kind):
            return False
        return kind is Kind.NETWORK or self.polls > 0 or self.has_run or self._is_last_look

    @property
    def may_postpone(self) -> bool:
        """Whether rows may be left for the next look, which must be soon and not past the end."""
        return self.polls < EARLY and not self._is_last_look

    @property
    def _is_last_look(self) -> bool:
        return self.next_poll >= self.gives_up_at

    def known(self, kind: Kind, since: int) -> int:
        """Return how many rows of this round and later ones have been read."""
        return sum(row.round_id >= since for row in self._known[kind].rows)

    def take(self, kind: Kind, row: Measured) -> None:
        """Add a row that was read."""
        known = self._known[kind]
        self.is_http |= kind is Kind.HTTP_SERVER
        if row in known.rows:
            return
        known.rows[row] = None
        if self._counts(row):
            known.grew = True
            known.agents.add(row.agent_id)

    def read_to_the_end(self, kind: Kind, *, unchanged: bool = False) -> None:
        """Note that all rows that the API has of this kind have been added.

        `unchanged` says that all of them were already there at the last look.
        """
        known = self._known[kind]
        if known.grew and not unchanged:
            known.quiet = 0
        elif known.agents or (self.has_run and not (self.is_http and kind is Kind.HTTP_SERVER)):
            known.quiet += 1  # until somebody has answered, silence means nothing
        known.grew = False

    def looked(self, now: float) -> None:
        """Note that a look has ended, even if it failed, and schedule the next."""
        self.over = now >= self.gives_up_at and not self.postponed
        gap = GAPS[min(self.polls, len(GAPS) - 1)]
        self.polls += 1
        self.postponed = False
        self.next_poll = max(now, min(now + gap, self.gives_up_at))

    def _counting(self, kind: Kind) -> Iterator[Measured]:
        for row in self._known[kind].rows:
            if self._counts(row):
                yield row

    def _counts(self, row: Measured) -> bool:
        return self.rounds_after < row.round_id <= self.rounds_until

    def _may_grow(self, kind: Kind) -> bool:
        known = self._known[kind]
        if len(self.refusals.get(kind, ())) > FAILURES_IN_A_ROW:
            return False
        if isinstance(self.expected, Set):  # one that woke up since doesn't stand for another
            all_answered = self.expected <= known.agents
        else:
            all_answered = len(known.agents) >= (self.expected or 0)
        return not (self.expected and all_answered) and known.quiet < QUIET_POLLS


class Watch:
    """All tests of an account group whose results are awaited."""

    def __init__(self) -> None:
        self._tests: dict[str, AwaitedTest] = {}

    def __len__(self) -> int:
        return len(self._tests)

    def add(self, test: AwaitedTest) -> None:
        """Await the results of one more test."""
        self._tests[test.test_id] = test

    def wait(self, now: float) -> float | None:
        """Return the seconds until the next look; None when nothing is awaited."""
        if not self._tests:
            return None
        turns = [test.next_poll for test in self._tests.values()]
        together = min(turns) + TOGETHER
        return max(0.0, max(turn for turn in turns if turn <= together) - now)

    def due(self, now: float) -> list[AwaitedTest]:
        """Return the tests whose turn has come."""
        return [test for test in self._tests.values() if test.next_poll <= now]

    def looked(self, tests: Sequence[AwaitedTest], now: float) -> list[AwaitedTest]:
        """Note that a look at these tests has ended; remove and return those that are done."""
        for test in tests:
            test.looked(now)
        return self._leave(test for test in tests if test.complete or test.over)

    def give_up(self) -> list[AwaitedTest]:
        """Remove and return all tests."""
        return self._leave(self._tests.values())

    def _leave(self, tests: Iterable[AwaitedTest]) -> list[AwaitedTest]:
        done = list(tests)
        for test in done:
            del self._tests[test.test_id]
        return done
