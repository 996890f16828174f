"""Compares a run's records with those of an earlier run. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Final

from thousandeyes import drift, marks
from thousandeyes.outcomes import GOOD, REFUSED, SILENT, UNTOLD, Ending, Outcome, VerdictName
from thousandeyes.record import Record
from thousandeyes.standing import Change, Standing

_MEASURED: Final = (VerdictName.PASSED, VerdictName.FAILED)


def is_failing(record: Record) -> bool:
    """Tell whether a test ended badly; a test that was not sent does not count as failing."""
    return record.ending not in GOOD and record.ending not in UNTOLD


def is_unread(record: Record) -> bool:
    """Tell whether nobody knows what was measured, since its results could not be read."""
    return record.verdict is not None and record.verdict.unread


def compared(record: Record, earlier: Record | None, compared_with: str | None) -> Standing:
    """Return how a test compares with its row of an earlier run.

    What is unknown this time stays as it was: a test that was not sent, or that was only accepted
    after its laptops had failed, neither fails nor recovers. If its results could not be read, it
    still fails if it failed before. Laptops still fail, or recover, only if they failed when last
    measured. A test that is not in the earlier run is new, even if it was in a run before that.

    Args:
        record: The test as it ended now.
        earlier: The same test in the earlier run, None if it was not part of that run.
        compared_with: ID of that run, None if there is none to compare with.
    """
    before = (earlier and earlier.standing) or Standing()
    now = _values(record)
    change = _change(record, earlier)
    since, runs = None, 0
    if earlier and _was_failing(earlier) and change in (Change.STILL_FAILING, Change.UNCHANGED):
        since = before.failing_since or earlier.started_at or record.started_at
        runs = max(before.failing_runs, 1) + (change is Change.STILL_FAILING)
    elif is_failing(record) and not is_unread(record):
        since, runs = record.started_at or record.finished_at, 1
    return Standing(
        change=change if compared_with else None,
        failing_since=since,
        failing_runs=runs,
        moved=_others_fail(record, earlier)
        if is_failing(record)
        else _moved(record, before, now, change),
        history=marks.continued(_history(earlier), marks.mark(record.ending)),
        recent=drift.remembered(before.recent, now),
        compared_with=compared_with,
        last_measured=_last_measured(record) or _last_measured(earlier),
        last_heard=_last_heard(record) or _last_heard(earlier),
    )


def _change(record: Record, earlier: Record | None) -> Change:
    if earlier is None or not _tells(earlier):
        return Change.NEW
    if record.ending in UNTOLD:
        return Change.UNCHANGED
    if is_failing(record):
        return _of_a_failing_one(record, earlier)
    return _of_one_that_failed(record, earlier) if _was_failing(earlier) else Change.UNCHANGED


def _of_a_failing_one(record: Record, earlier: Record) -> Change:
    if _fails_as_before(record, earlier):
        return Change.STILL_FAILING
    if is_unread(record):
        return Change.UNCHANGED
    was_known = _last_measured(earlier) is not None or not _was_failing(earlier)
    return Change.NEW_FAILURE if was_known else Change.NEW


def _of_one_that_failed(record: Record, earlier: Record) -> Change:
    laptops_failed = _last_measured(earlier) is VerdictName.FAILED
    if record.ending is not Outcome.ACCEPTED:
        return Change.RECOVERED if laptops_failed or _last_heard(earlier) in REFUSED else Change.NEW
    # An accepted call says nothing about laptops that failed, or that did not answer.
    by_its_call = not laptops_failed and marks.last_sent(_history(earlier)) == marks.FAILED
    return Change.RECOVERED if by_its_call else Change.UNCHANGED


def _fails_as_before(record: Record, earlier: Record) -> bool:
    """Tell whether a failing test is known to have failed before, not just to have been unknown.

    It is known if its laptops failed when last measured, unless the API says now that the test
    can't be run. Otherwise an outage may have begun unseen while calls failed or nobody answered:
    only the same ending once more is old news.
    """
    if _last_measured(earlier) is VerdictName.FAILED and record.ending not in REFUSED:
        return True
    if record.ending is VerdictName.FAILED or (is_unread(record) and not _was_failing(earlier)):
        return False
    if _is_unheard(record):
        return marks.mark(record.ending) == marks.last_sent(_history(earlier))
    heard = _last_heard(earlier)
    if record.ending in REFUSED:
        return heard in REFUSED
    return heard is not None and marks.mark(record.ending) == marks.mark(heard)


def judged_anew(record: Record, known: Standing) -> Standing:
    """Return the standing of a test whose verdict changed after its earlier run was deleted.

    What was found stays, unless it passed after all; the newest mark is that of the new verdict.
    """
    moved = known.moved if is_failing(record) == (known.failing_runs > 0) else ""
    if record.ending is VerdictName.PASSED and known.failing_runs:
        known = replace(known, change=_passed_after(known), failing_since=None, failing_runs=0)
    return replace(
        known,
        moved=moved,
        history=marks.marked_anew(known.history, marks.mark(record.ending)),
        last_measured=_last_measured(record) or known.last_measured,
        last_heard=_last_heard(record) or known.last_heard,
    )


def _passed_after(known: Standing) -> Change | None:
    """Return what became of a test that passed after all, by what it was first found to be."""
    if known.change is Change.STILL_FAILING:
        laptops_failed = known.last_measured is VerdictName.FAILED
        return Change.RECOVERED if laptops_failed else Change.NEW
    return Change.UNCHANGED if known.change is Change.NEW_FAILURE else known.change


def _history(earlier: Record | None) -> str:
    if earlier is None:
        return ""
    # Rows of earlier versions hold no marks: they speak only of their own run.
    return (earlier.standing and earlier.standing.history) or marks.mark(earlier.ending)


def is_newly_failing(record: Record) -> bool:
    """Tell whether a test fails that is not known to have failed before.

    So a test counts of which nothing is known from before, or whose results could not be read.
    """
    known = record.standing and record.standing.change is Change.STILL_FAILING
    return is_failing(record) and not known


def gone(records: Iterable[Record], earlier: Mapping[str, Record]) -> list[Record]:
    """Return the tests of an earlier run that are not in this one, in that run's order."""
    return [record for record in _absent(records, earlier) if not is_gone(record)]


def is_gone(record: Record) -> bool:
    """Tell whether a record is of a test that was not part of its run."""
    return record.standing is not None and record.standing.change is Change.GONE


def carried(records: Iterable[Record], earlier: Mapping[str, Record]) -> list[Record]:
    """Return the tests of earlier runs that are not in this one, each with its history.

    A test that comes back then still has its history. A test that none of the remembered runs sent
    is left out.
    """
    kept = []
    for record in _absent(records, earlier):
        history = marks.continued(_history(record), marks.NOT_SENT)
        if marks.is_worth_keeping(history):
            kept.append(Record(record.test_id, record.test_name))
            kept[-1].stands(Standing(Change.GONE, history=history))
    return kept


def passed_over(record: Record) -> Record:
    """Return a test of an earlier run with one more mark, for a later run that left no record."""
    known = record.standing or Standing()
    record.stands(replace(known, history=marks.continued(_history(record), marks.NOT_SENT)))
    return record


def _absent(records: Iterable[Record], earlier: Mapping[str, Record]) -> list[Record]:
    here = {record.test_id for record in records}
    return [record for test_id, record in earlier.items() if test_id not in here]


def _was_failing(earlier: Record) -> bool:
    fails = is_failing(earlier) and not is_unread(earlier)
    return fails or bool(earlier.standing and earlier.standing.failing_runs)


def _tells(earlier: Record) -> bool:
    """Tell whether an earlier run says how the test was, or repeats what a run before it said."""
    carried = earlier.standing and earlier.standing.change is Change.UNCHANGED
    told = earlier.ending not in UNTOLD and not is_unread(earlier)
    return told or _was_failing(earlier) or bool(carried)


def _last_measured(record: Record | None) -> VerdictName | None:
    """Return what laptops measured, if not in this run then when they last did; None: never."""
    if record is None:
        return None
    if record.ending in _MEASURED:
        return VerdictName(record.ending)
    return record.standing.last_measured if record.standing else None


def _last_heard(record: Record | None) -> Ending | None:
    """Return how the test last ended by what the API or laptops told of it; None: never."""
    if record is None:
        return None
    if not _is_unheard(record):
        return record.ending
    return record.standing.last_heard if record.standing else None


def _is_unheard(record: Record) -> bool:
    return record.ending in SILENT or is_unread(record)


def _values(record: Record) -> dict[str, float]:
    """Return what is remembered of a measurement; of one that failed, only how many answered."""
    if not (verdict := record.verdict) or record.ending not in _MEASURED:
        return {}
    metrics = [] if is_failing(record) else drift.METRICS
    values = {metric: getattr(verdict, metric).median for metric in metrics}
    values[drift.AGENTS] = verdict.agents_answered
    return {metric: value for metric, value in values.items() if value is not None}


def newly_failing_laptops(record: Record, earlier: Record | None) -> list[str]:
    """Return the laptops that fail a test now and did not when it failed before."""
    return record.verdict.failed_newly(earlier.verdict) if record.verdict and earlier else []


def _others_fail(record: Record, earlier: Record | None) -> str:
    laptops = newly_failing_laptops(record, earlier)
    fail = "1 laptop fails" if len(laptops) == 1 else f"{len(laptops)} laptops fail"
    return f"{fail} that did not before" if laptops else ""


def _moved(record: Record, before: Standing, now: Mapping[str, float], change: Change) -> str:
    if fewer := drift.fewer(before.recent, now):
        # Until late agents have answered, a run that is judged at once is no match for others that
        # were judged again since.
        return "" if record.is_provisional else fewer
    return "" if change is Change.RECOVERED else drift.moved(before.recent, now)
