"""What to read of the tests whose turn has come, and how far. Pure, like `watch`."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Final

from thousandeyes.results import Kind
from thousandeyes.rounds import Measured
from thousandeyes.watch import AwaitedTest

TESTS_PER_CALL: Final = 200
"""Test IDs in one filter; how many the API takes is not documented."""


@dataclass(frozen=True)
class Query:
    """One read of one kind of results, page by page, for tests that are alike.

    Tests that already have answers are read separately from those that have none, because for them
    a single page may show that nothing is new. Tests with different intervals are read separately
    too: an hourly test would bring in an hour's rounds of all the others. One for which the API
    refused to answer is read alone, so that others are answered.
    """

    kind: Kind
    aid: str | None
    tests: Mapping[str, AwaitedTest]

    @property
    def since(self) -> int:
        """The first round that can count for any of them, in the server's epoch seconds."""
        return min(test.rounds_after + test.interval for test in self.tests.values())

    def until(self, now: float | None) -> float | None:
        """Return the last round that can count for any of them, if later ones needn't be read.

        Args:
            now: The server's time in epoch seconds; None if rounds may still come.
        """
        last = max(test.rounds_until for test in self.tests.values())
        # How the API treats an end date in the future is not documented.
        return last if now is not None and last < now else None

    def take(self, rows: Iterable[Measured]) -> None:
        """Add the rows of a page to their tests."""
        for test in self.tests.values():
            test.refusals.pop(self.kind, None)
        for row in rows:
            self.tests[row.test_id].take(self.kind, row)

    def nothing_new(self, total: int | None) -> bool:
        """Tell whether all rows are already known, given how many the API has."""
        return total == sum(test.known(self.kind, self.since) for test in self.tests.values())

    def unchanged(self, total: int | None) -> bool:
        """Tell whether the last look found the same number of rows, and left some unread."""
        return total is not None and {test.told for test in self.tests.values()} == {total}

    def too_soon(self, total: int | None) -> bool:
        """Tell whether to leave the other pages for the next look, because more rows will come."""
        tests = self.tests.values()
        # How many HTTP results will come isn't known, because the tests' types may not be.
        if total is None or self.kind is not Kind.NETWORK or self.unchanged(total):
            return False
        if not all(test.agents_expected and test.may_postpone for test in tests):
            return False
        return total < sum(test.agents_expected or 0 for test in tests)

    def postpone(self, total: int | None) -> None:
        """Leave the rest for the next look."""
        for test in self.tests.values():
            test.postponed, test.told = True, total

    def of(self, test_ids: Iterable[str]) -> "Query":
        """Return the same query for only these of its tests."""
        return replace(self, tests={test_id: self.tests[test_id] for test_id in test_ids})

    @property
    def answered(self) -> bool:
        """Whether nothing more can be learned about any of them."""
        return not any(test.wants(self.kind) for test in self.tests.values())

    def read_to_the_end(self, total: int | None) -> None:
        """Note that all rows have been read, and how many there were."""
        unchanged = self.kind is Kind.NETWORK and self.unchanged(total)
        for test in self.tests.values():
            test.read_to_the_end(self.kind, unchanged=unchanged)
            test.told = None


def queries(kind: Kind, tests: Iterable[AwaitedTest]) -> Iterator[Query]:
    """Yield what to read for tests whose turn has come."""
    alike: dict[tuple[str | None, bool, int, str], list[AwaitedTest]] = {}
    for test in tests:
        if test.wants(kind):
            alone = test.test_id if test.refusal else ""
            alike.setdefault((test.aid, test.has_run, test.interval, alone), []).append(test)
    for (aid, *_), wanted in alike.items():
        for start in range(0, len(wanted), TESTS_PER_CALL):
            some = wanted[start : start + TESTS_PER_CALL]
            yield Query(kind, aid, {test.test_id: test for test in some})
