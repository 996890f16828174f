"""What a change did to the tests: records of both halves in, a sentence and a page out. Pure."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from flows.runs.sentence import MOST_NAMED, fails_the_run, named, short_name
from tasks.entries import section
from tasks.markdown import plain
from tasks.report import failures_first
from thousandeyes.changes import gone, is_failing, is_unread, newly_failing_laptops
from thousandeyes.drift import are_far_fewer
from thousandeyes.outcomes import REFUSED, UNANSWERED, Ending, Outcome, VerdictName, in_words
from thousandeyes.record import Record
from thousandeyes.standing import Change
from thousandeyes.text import counted, listed


class Effect(StrEnum):
    """What became of a test with the change. The order is that of reading: the worst first."""

    BROKE = "broke"  # it was well before and fails after
    FAILS_AND_NEW = "fails_and_new"  # it fails after, and was not measured before
    STILL_FAILING = "still_failing"  # it failed before and after
    UNMEASURED = "unmeasured"  # it was not measured after
    GONE = "gone"  # it is no longer among the tests
    RECOVERED = "recovered"  # it failed before and is well after
    WELL_AND_NEW = "well_and_new"  # it is well after, and was not measured before
    UNCHANGED = "unchanged"  # it was well before and after


_HEADINGS: Final[Mapping[Effect, str]] = {
    Effect.BROKE: "Broke with the change",
    Effect.FAILS_AND_NEW: "Fails, and was not measured before the change",
    Effect.STILL_FAILING: "Fails as before",
    Effect.UNMEASURED: "Not measured after the change",
    Effect.GONE: "No longer among the tests",
    Effect.RECOVERED: "Recovered",
    Effect.WELL_AND_NEW: "Well, and was not measured before the change",
}
_COUNTED: Final[Mapping[Effect, tuple[str, str]]] = {
    Effect.FAILS_AND_NEW: (
        "fails and was not measured before",
        "fail and were not measured before",
    ),
    Effect.UNMEASURED: ("was not measured after", "were not measured after"),
    Effect.GONE: ("is no longer among them", "are no longer among them"),
    Effect.RECOVERED: ("recovered", "recovered"),
    Effect.STILL_FAILING: ("fails as before", "fail as before"),
    Effect.WELL_AND_NEW: (
        "is well and was not measured before",
        "are well and were not measured before",
    ),
    Effect.UNCHANGED: ("is unchanged", "are unchanged"),
}
"""How the sentence counts an effect: of one test, and of several."""
_CHANGES: Final[Mapping[Change | None, Effect]] = {
    Change.NEW_FAILURE: Effect.BROKE,
    Change.STILL_FAILING: Effect.STILL_FAILING,
    Change.RECOVERED: Effect.RECOVERED,
    Change.UNCHANGED: Effect.UNCHANGED,
}
_NOT_MEASURED: Final = frozenset(Outcome) - REFUSED
"""Endings that say neither what laptops measured nor that the test can't be run."""


def effect_on(record: Record, earlier: Record | None) -> Effect:
    """Return what became of a test, given its records of the second and the first half."""
    had_failed = earlier is not None and earlier.ending is VerdictName.FAILED
    # Agents that don't answer break a test which passed. They say nothing about one that failed.
    if _is_unmeasured(record) or (record.ending in UNANSWERED and had_failed):
        return Effect.UNMEASURED
    change = record.standing.change if record.standing else None
    if change in _CHANGES and earlier and not _is_unmeasured(earlier):
        return _CHANGES[change]
    return Effect.FAILS_AND_NEW if is_failing(record) else Effect.WELL_AND_NEW


def _is_unmeasured(record: Record) -> bool:
    return record.ending in _NOT_MEASURED or is_unread(record)


@dataclass(frozen=True)
class Difference:
    """What a change did to the tests, by effect, and whether that passes."""

    by_effect: Mapping[Effect, Sequence[Record]]
    before: Mapping[str, Record]
    after: Sequence[Record]
    failing: Sequence[Record]
    """The tests that fail the run by `fail_on`."""

    @classmethod
    def of(
        cls,
        before: Iterable[Record],
        after: Sequence[Record],
        fail_on: Collection[Ending | Change],
    ) -> "Difference":
        """Return the difference between two halves.

        Args:
            before: What the first half recorded.
            after: What the second half recorded, compared with the first.
            fail_on: The outcomes, verdicts and changes that fail the run.
        """
        known = {record.test_id: record for record in before}
        by_effect: dict[Effect, list[Record]] = {effect: [] for effect in Effect}
        for record in failures_first(after):
            by_effect[effect_on(record, known.get(record.test_id))].append(record)
        by_effect[Effect.GONE] = gone(after, known)
        # The half's own report counts a test that failed before and has no result now as no new
        # one.
        unknown = by_effect[Effect.UNMEASURED] if Change.NEW_FAILURE in fail_on else []
        lost = {record.test_id for record in unknown if is_failing(record)}
        failing = [one for one in after if fails_the_run(one, fail_on) or one.test_id in lost]
        return cls(by_effect, known, after, failing)

    @property
    def passed(self) -> bool:
        """Whether no test fails the run."""
        return not self.failing

    @property
    def sentence(self) -> str:
        """The answer, such as `1 of 9 tests broke with the change: Intranet; 8 are unchanged.`."""
        broke, perhaps = self.by_effect[Effect.BROKE], self.by_effect[Effect.FAILS_AND_NEW]
        total = len(self.after)
        if broke or not perhaps:
            parts = [f"{len(broke) or 'None'} of {total} tests broke with the change"]
        else:
            parts = [f"None of {total} tests is known to have broken with the change"]
        parts[0] += named(broke) if broke else ""
        for effect, (one, several) in _COUNTED.items():
            if records := self.by_effect[effect]:
                words = f"{len(records)} {one if len(records) == 1 else several}"
                words += self._for_others(records) if effect is Effect.STILL_FAILING else ""
                parts.append(words + (named(records) if records is perhaps else ""))
        told = {record.test_id for record in (*broke, *perhaps)}
        if others := [record for record in self.failing if record.test_id not in told]:
            parts.append(f"failed by fail_on{named(others)}")
        if quiet := [f"{short_name(one)} ({self._agents(one)})" for one in self.quiet]:
            parts.append(f"far fewer agents answered for {listed(quiet, MOST_NAMED)}")
        halves = {"before": self.before.values(), "after": self.after}
        early = {when: sum(one.is_provisional for one in half) for when, half in halves.items()}
        if any(early.values()):
            counted = [f"{count} {when}" for when, count in early.items() if count]
            parts.append(f"provisional verdicts: {', '.join(counted)}")
        return "; ".join(parts) + "."

    def _for_others(self, records: Sequence[Record]) -> str:
        """Return how many of the tests that fail as before fail on more laptops, and on how many.

        For example `, both also on laptops that did not fail then (3 in all)`.
        """
        found = [newly_failing_laptops(one, self.before.get(one.test_id)) for one in records]
        tests, laptops = sum(map(bool, found)), {name for names in found for name in names}
        if not laptops:
            return ""
        which = f"{tests} of them "
        if tests == len(records):
            which = {1: "", 2: "both "}.get(tests, "all of them ")
        if tests == 1 or len(laptops) == 1:
            return f", {which}also on {counted(len(laptops), 'laptop')} that did not fail then"
        return f", {which}also on laptops that did not fail then ({len(laptops)} in all)"

    @property
    def quiet(self) -> list[Record]:
        """The tests that passed after the change, although far fewer of their agents answered."""
        return [
            record
            for record in self.after
            if record.ending is VerdictName.PASSED
            and are_far_fewer(_answered(record), _answered(self.before.get(record.test_id)))
        ]

    def _agents(self, record: Record) -> str:
        return f"{_answered(record)}, {_answered(self.before.get(record.test_id))} before"

    def markdown(self, reports: Mapping[str, str]) -> str:
        """Return the page: the sentence, the halves' own reports, and each test with an effect.

        Args:
            reports: The name of each half's report, and its address.
        """
        lines = [f"**{'Passed' if self.passed else 'Failed'}.** {plain(self.sentence)}", ""]
        links = [f"[{name}]({address})" for name, address in reports.items()]
        lines += [f"The reports of both halves: {', '.join(links)}.", ""]
        for effect, heading in _HEADINGS.items():
            lines += section(heading, self.by_effect[effect], self._as_it_was)
        heading = "Passed, although far fewer agents answered"
        lines += section(heading, self.quiet, lambda one: f" ({self._agents(one)})")
        return "\n".join(lines)

    def _as_it_was(self, record: Record) -> str:
        earlier = self.before.get(record.test_id)
        if not earlier or earlier == record:
            return ""
        failed = earlier.ending is VerdictName.FAILED and earlier.verdict
        told = f"{failed.failed} of {failed.agents_answered} agents " if failed else ""
        return f" (before: {told}{in_words(earlier.ending)})"


def _answered(record: Record | None) -> int:
    return record.verdict.agents_answered if record and record.verdict else 0
