"""What changed since an earlier run: its records and today's in, words out. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Final

from thousandeyes import drift, marks
from thousandeyes.outcomes import GOOD, UNTOLD, Outcome, VerdictName
from thousandeyes.record import Record
from thousandeyes.standing import Change, Standing
from thousandeyes.text import cut, listed

MOST_NAMED: Final = 10
"""Tests that a sentence names."""
_LONGEST_LABEL: Final = 80

_WORDS: Final[Mapping[Change, str]] = {
    Change.NEW_FAILURE: "Newly failing",
    Change.STILL_FAILING: "Still failing",
    Change.RECOVERED: "Recovered",
    Change.NEW: "New",
}


def is_failing(record: Record) -> bool:
    """Tell whether a test did not end well; one that was not sent does not count as failing."""
    return record.ending not in GOOD and record.ending not in UNTOLD


def compared(record: Record, earlier: Record | None, compared_with: str | None) -> Standing:
    """Return how a test stands against its row of an earlier run.

    What is not known this time stays as it was: a test that was not sent, and one that was only
    accepted after its laptops had failed, neither fails nor recovers. A test that is not in the
    earlier run is new, also when it was in one before that.

    Args:
        record: The test as it ended now.
        earlier: The same test in the earlier run, None where it was not in it.
        compared_with: ID of that run, None where there is none to compare with.
    """
    before = (earlier and earlier.standing) or Standing()
    failed = _failed(earlier) if earlier else None
    now = {} if is_failing(record) else _measured(record)
    change: Change | None
    since, runs = None, 0
    if _is_told(record, earlier):
        change = _CHANGES[failed, is_failing(record)]
        if is_failing(record):
            began = record.started_at or record.finished_at
            since, runs = began, 1
            if failed and earlier:
                since = before.failing_since or earlier.started_at or began
                runs = max(before.failing_runs, 1) + 1
    else:
        change = Change.NEW if failed is None else Change.UNCHANGED
        if failed and earlier:
            since = before.failing_since or earlier.started_at
            runs = max(before.failing_runs, 1)
    passed_twice = earlier is not None and not is_failing(record) and not failed
    return Standing(
        change=change if compared_with else None,
        failing_since=since,
        failing_runs=runs,
        moved=drift.moved(before.recent, now) if passed_twice else "",
        history=marks.continued(_history(earlier), marks.mark(record.ending)),
        recent=drift.remembered(before.recent, now),
        compared_with=compared_with,
    )


def judged_anew(record: Record, known: Standing) -> Standing:
    """Return how a test stands whose verdict changed, where its earlier run is gone.

    What it was found to be then stays; its newest mark is that of the verdict.
    """
    return replace(known, history=marks.marked_anew(known.history, marks.mark(record.ending)))


def _history(earlier: Record | None) -> str:
    if earlier is None:
        return ""
    # Rows of earlier versions hold no marks, and tell of their own run alone.
    return (earlier.standing and earlier.standing.history) or marks.mark(earlier.ending)


_CHANGES: Final[Mapping[tuple[bool | None, bool], Change]] = {
    (False, True): Change.NEW_FAILURE,
    (True, True): Change.STILL_FAILING,
    (True, False): Change.RECOVERED,
    (False, False): Change.UNCHANGED,
    (None, True): Change.NEW,
    (None, False): Change.NEW,
}
"""By whether it failed before (None: nobody knows) and whether it fails now."""


def is_newly_failing(record: Record) -> bool:
    """Tell whether a test fails that is not known to have failed before.

    A failing test of which nothing is known from before counts: nobody can say that it is old.
    """
    known = record.standing and record.standing.change is Change.STILL_FAILING
    return is_failing(record) and not known


def gone(records: Iterable[Record], earlier: Mapping[str, Record]) -> list[Record]:
    """Return the tests of an earlier run that are not in this one, in that run's order."""
    return [record for record in _absent(records, earlier) if not is_gone(record)]


def is_gone(record: Record) -> bool:
    """Tell whether a test was no part of the run that its record is of."""
    return record.standing is not None and record.standing.change is Change.GONE


def carried(records: Iterable[Record], earlier: Mapping[str, Record]) -> list[Record]:
    """Return the tests of earlier runs that are not in this one, each with its history.

    So a test that comes back has it. One that was not sent in as many runs as are remembered is
    left out.
    """
    kept = []
    for record in _absent(records, earlier):
        history = marks.continued(_history(record), marks.NOT_SENT)
        if marks.is_worth_keeping(history):
            kept.append(Record(record.test_id, record.test_name))
            kept[-1].stands(Standing(Change.GONE, history=history))
    return kept


def _absent(records: Iterable[Record], earlier: Mapping[str, Record]) -> list[Record]:
    here = {record.test_id for record in records}
    return [record for test_id, record in earlier.items() if test_id not in here]


def sentences(records: Iterable[Record], gone: Iterable[Record] = ()) -> list[str]:
    """Return what changed, one sentence a kind of change; none where nothing did.

    Such as `Still failing: Payroll over VPN (3 runs in a row, since 26 November 2026, 02:00 UTC).`
    """
    lines: list[str] = []
    standing = [(record, record.standing) for record in records if record.standing]
    for change, words in _WORDS.items():
        named = [_label(record, since) for record, since in standing if since.change is change]
        lines += _told(words, named)
    moved = [f"{_name(record)} ({since.moved})" for record, since in standing if since.moved]
    lines += _told("Worse than usual, although passed", moved)
    return lines + _told("No longer part of the run", [_name(record) for record in gone])


def _told(words: str, names: list[str]) -> list[str]:
    return [f"{words}: {listed(names, MOST_NAMED)}."] if names else []


def _label(record: Record, standing: Standing) -> str:
    name = _name(record)
    if standing.change is Change.NEW and is_failing(record):
        return f"{name} (fails)"
    if standing.change is not Change.STILL_FAILING:
        return name
    return f"{name} ({how_long(standing)})"


def how_long(standing: Standing) -> str:
    """Return for how long a test has failed, such as `3 runs in a row, since 26 November 2026`."""
    since = standing.failing_since
    when = f", since {since.day} {since:%B %Y, %H:%M} UTC" if since else ""
    return f"{standing.failing_runs} runs in a row{when}"


def _name(record: Record) -> str:
    return cut(record.test_name, _LONGEST_LABEL) or record.test_id


def _failed(earlier: Record) -> bool | None:
    """Tell whether a test was failing as of an earlier run; None where that run can't tell."""
    if is_failing(earlier) or (earlier.standing and earlier.standing.failing_runs):
        return True
    if earlier.ending not in UNTOLD:
        return False
    carried = earlier.standing and earlier.standing.change is Change.UNCHANGED
    return False if carried else None


def _is_told(record: Record, earlier: Record | None) -> bool:
    """Tell whether this run says how the test is."""
    if record.ending in UNTOLD:
        return False
    # A call that was taken says nothing of laptops that failed before.
    measured_before = earlier is not None and (
        isinstance(earlier.ending, VerdictName) or earlier.ending is Outcome.ACCEPTED
    )
    not_measured = record.ending is Outcome.ACCEPTED
    return not (not_measured and measured_before and earlier is not None and _failed(earlier))


def _measured(record: Record) -> dict[str, float]:
    if not record.verdict:
        return {}
    values = {metric: getattr(record.verdict, metric).median for metric in drift.METRICS}
    return {metric: value for metric, value in values.items() if value is not None}
