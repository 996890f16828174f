"""Whether a run passed, and the one sentence that says why."""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from types import MappingProxyType
from typing import Final

from tasks.report import counts, failures_first
from thousandeyes.changes import is_failing, is_newly_failing, is_unread
from thousandeyes.outcomes import GOOD, Ending, Outcome, VerdictName, in_words
from thousandeyes.record import Record
from thousandeyes.standing import Change
from thousandeyes.text import cut, isolated, listed

MOST_NAMED: Final = 5
"""Tests that the sentence names; the others are counted."""
_LONGEST_NAME: Final = 60
_NEW, _UNMEASURED = "new", "not measured before"
_ALL: Final = {
    _NEW: (" (new)", ", both new", ", all new"),
    _UNMEASURED: (" (not measured before)", ", neither measured before", ", none measured before"),
}
"""The words for news, in their order; and those for one, two or more tests that all are of it."""


def passed_and_why(
    records: Sequence[Record],
    fail_on: Collection[Ending | Change],
    stopped: str | None = None,
    done: str = "accepted",
) -> tuple[bool, str]:
    """Return whether the run passed, and the sentence for people.

    Args:
        records: One per test, each with its outcome.
        fail_on: The outcomes, verdicts and changes that fail the run.
        stopped: What made the run stop early, if anything did.
        done: The word for accepted tests.
    """
    if not records:
        return True, "No test is left to run: all of them ended well before."

    bad = [record for record in records if fails_the_run(record, fail_on)]
    others = [record for record in records if not fails_the_run(record, fail_on)]
    good = [record for record in others if record.ending in GOOD]
    tolerated = [record for record in others if record.ending not in GOOD]
    if bad:
        sentence = f"{len(bad)} of {len(records)} tests {_failed(bad)}"
        sentence += f"; {_good(good, done)}" if good else ""
    else:
        ran = [record for record in good if record.outcome is not Outcome.SKIPPED]
        judged = any(record.verdict for record in records)
        how = "passed" if judged and _all_passed(ran) else done
        sentence = f"{len(ran)} of {len(records)} tests {how}"
        if skipped := len(good) - len(ran):
            sentence += f", {skipped} skipped"
    if tolerated:
        sentence += f"; tolerated by fail_on{named(tolerated)}"
    if provisional := sum(record.is_provisional for record in records):
        are = "verdict is" if provisional == 1 else "verdicts are"
        sentence += f"; {provisional} {are} provisional"
    if stopped:
        sentence += f"; stopped early: {stopped.rstrip('. ')}"
    return not bad, sentence if sentence.endswith("?") else sentence + "."


def fails_the_run(record: Record, fail_on: Collection[Ending | Change]) -> bool:
    """Tell whether a run fails for a test: for its measurements, or for what became of its call.

    Args:
        record: The test.
        fail_on: The outcomes, verdicts and changes that fail the run.
    """
    if Change.NEW_FAILURE in fail_on and is_newly_failing(record):
        return True
    return record.outcome in fail_on or record.ending in fail_on


def _failed(bad: Sequence[Record]) -> str:
    """Return that tests failed, how many of them are news, and their names, news first.

    This says nothing of news if no run was compared or none of the tests ran, and never calls a
    test news if its results could not be read.
    """
    failing = [record for record in bad if is_failing(record) and not is_unread(record)]
    news = {record.test_id: _news(record) for record in failing if is_newly_failing(record)}
    how = "did not end well" if _are_counted(bad) else "failed"
    if not any(record.standing and record.standing.change for record in failing):
        return f"{how}{named(bad)}"
    if not news:
        words = {1: ", as before", 2: ", both as before"}.get(len(bad), ", all as before")
        return f"{how}{words if failing == list(bad) else ''}{named(bad)}"
    counted = Counter(news.values())
    if list(counted.values()) == [len(bad)]:
        one, two, several = _ALL[news[bad[0].test_id]]
        words = {1: one, 2: two}.get(len(bad), several)
        return f"{how}{words}{named(bad)}"
    parts = [f"{counted[word]} {word}" for word in _ALL if word in counted]
    parts[0] = parts[0].replace(" ", " of them ", 1)
    return f"{how}, {', '.join(parts)}{named(bad, news)}"


def _news(record: Record) -> str:
    is_unknown = record.standing and record.standing.change is Change.NEW
    return _UNMEASURED if is_unknown else _NEW


def _all_passed(records: Sequence[Record]) -> bool:
    return all(record.ending is VerdictName.PASSED for record in records)


def _good(records: Sequence[Record], done: str) -> str:
    words = {Outcome.ACCEPTED: done, Outcome.SKIPPED: "skipped", VerdictName.PASSED: "passed"}
    counted = {
        word: sum(record.ending is ending for record in records) for ending, word in words.items()
    }
    return ", ".join(f"{count} {word}" for word, count in counted.items() if count)


def named(records: Sequence[Record], news: Mapping[str, str] = MappingProxyType({})) -> str:
    """Return tests by name behind a colon, each with its ending, news first.

    If there are too many to name all, the worst come first, and their endings are counted.

    `failed` is not repeated, because the sentence says so already.

    Args:
        records: The tests.
        news: What those that are news are called, by ID.
    """
    many = len(records) > MOST_NAMED
    names = []
    ordered = failures_first(records) if many else records
    order = [*_ALL, None]
    for record in sorted(ordered, key=lambda record: order.index(news.get(record.test_id))):
        notes = [] if many or record.ending is VerdictName.FAILED else [in_words(record.ending)]
        notes += [news[record.test_id]] if record.test_id in news else []
        names.append(short_name(record) + (f" ({', '.join(notes)})" if notes else ""))
    counted = f" ({counts(records)})" if _are_counted(records) else ""
    return f"{counted}: {listed(names, MOST_NAMED)}"


def _are_counted(records: Sequence[Record]) -> bool:
    """Tell whether there are many that did not all end as `failed`."""
    all_failed = all(record.ending is VerdictName.FAILED for record in records)
    return len(records) > MOST_NAMED and not all_failed


def short_name(record: Record) -> str:
    """Return a test's name, or its ID where it has none, as a sentence tells it."""
    return isolated(cut(record.test_name or record.test_id, _LONGEST_NAME))
