"""What to read of the tests whose turn has come, and how far. Pure, as `watch` is."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from thousandeyes.results import Kind
from thousandeyes.rounds import Measured
from thousandeyes.watch import Watched

TESTS_PER_CALL: Final = 200
"""Test IDs in one filter; how many the API takes is not documented."""


@dataclass(frozen=True)
class Query:
    """One read of one kind of results of tests that are alike, page by page.

    Tests that have answers already are read apart from those that have none, since of them one
    page may tell that nothing is new. So are tests of another interval: those of an hour would
    bring an hour's rounds of all others.
    """

    kind: Kind
    aid: str | None
    tests: Mapping[str, Watched]

    @property
    def since(self) -> int:
        """The first round that can count for any of them, in the server's epoch seconds."""
        return min(test.rounds_after + test.interval for test in self.tests.values())

    def until(self, now: float | None) -> int | None:
        """Return the last round that can count for any of them, if later ones are not to be read.

        Args:
            now: The server's time in epoch seconds; None where rounds may still come.
        """
        bounds = [test.rounds_until for test in self.tests.values()]
        known = [bound for bound in bounds if bound is not None]
        if now is None or len(known) < len(bounds):
            return None
        # How the API takes the end of a time that has not come yet is not documented.
        return max(known) if max(known) < now else None

    def take(self, rows: Iterable[Measured]) -> None:
        """Take the rows of a page."""
        for row in rows:
            self.tests[row.test_id].take(self.kind, row)

    def nothing_new(self, total: int | None) -> bool:
        """Tell whether all rows are known already, when the API has this many."""
        return total == sum(test.known(self.kind, self.since) for test in self.tests.values())

    def unchanged(self, total: int | None) -> bool:
        """Tell whether this many rows were there at the last look, and have not been read yet."""
        return total is not None and {test.told for test in self.tests.values()} == {total}

    def too_soon(self, total: int | None) -> bool:
        """Tell whether to leave the other pages for the next look, since more rows are to come."""
        tests = self.tests.values()
        # How many HTTP results are to come is not known where the tests' types are not.
        if total is None or self.kind is not Kind.NETWORK or self.unchanged(total):
            return False
        if not all(test.expected and test.may_postpone for test in tests):
            return False
        return total < sum(test.expected or 0 for test in tests)

    def postpone(self, total: int | None) -> None:
        """Leave the rest for the next look."""
        for test in self.tests.values():
            test.postponed, test.told = True, total

    @property
    def answered(self) -> bool:
        """Whether no more is to be learned of any of them."""
        return not any(test.wants(self.kind) for test in self.tests.values())

    def read_to_the_end(self, total: int | None) -> None:
        """Note that all has been read, of this many rows."""
        unchanged = self.kind is Kind.NETWORK and self.unchanged(total)
        for test in self.tests.values():
            test.read_to_the_end(self.kind, unchanged=unchanged)
            test.told = None


def queries(kind: Kind, tests: Iterable[Watched]) -> Iterator[Query]:
    """Yield what to read for tests whose turn has come."""
    alike: dict[tuple[str | None, bool, int], list[Watched]] = {}
    for test in tests:
        if test.wants(kind):
            alike.setdefault((test.aid, test.has_run, test.interval), []).append(test)
    for (aid, *_), wanted in alike.items():
        for start in range(0, len(wanted), TESTS_PER_CALL):
            some = wanted[start : start + TESTS_PER_CALL]
            yield Query(kind, aid, {test.test_id: test for test in some})
