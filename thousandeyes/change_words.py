"""Puts into words what changed since an earlier run. Pure."""

from collections.abc import Iterable, Mapping
from typing import Final

from thousandeyes.changes import is_failing
from thousandeyes.record import Record
from thousandeyes.standing import Change, Standing
from thousandeyes.text import clock, cut, isolated, listed

MOST_NAMED: Final = 10
"""The most tests that a sentence names."""
_LONGEST_LABEL: Final = 80

_WORDS: Final[Mapping[Change, str]] = {
    Change.NEW_FAILURE: "Newly failing",
    Change.STILL_FAILING: "Still failing",
    Change.RECOVERED: "Recovered",
    Change.NEW: "Not measured before",
}


def sentences(records: Iterable[Record], gone: Iterable[Record] = ()) -> list[str]:
    """Return what changed, one sentence for each kind of change that there is.

    For example `Still failing: Payroll over VPN (3 runs in a row, since 2026-11-26 02:00 UTC).`
    """
    lines: list[str] = []
    standing = [(record, record.standing) for record in records if record.standing]
    for change, words in _WORDS.items():
        named = [_label(record, since) for record, since in standing if since.change is change]
        lines += _told(words, named)
    moved = [
        f"{_name(record)} ({since.moved})"
        for record, since in standing
        if since.moved and not is_failing(record)
    ]
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
    """Return how long a test has failed, and on how many laptops it newly fails.

    For example `2 runs in a row, since 2026-11-26 02:00 UTC; 1 laptop fails that did not before`.
    """
    since = standing.failing_since
    when = f", since {clock(since)}" if since else ""
    others = f"; {standing.moved}" if standing.moved else ""
    return f"{standing.failing_runs} runs in a row{when}{others}"


def _name(record: Record) -> str:
    return isolated(cut(record.test_name, _LONGEST_LABEL)) or record.test_id
