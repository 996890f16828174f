"""A run's tests and their last runs as one picture: tests down, runs across, failing ones on top.

An SVG in a data address: both of Prefect's UIs show that, and nothing is loaded. It has its own
background, because it can't know whether the page around it is dark, and each mark differs from the
others in size and form, so that it can be read without colours too. Pure.
"""

from base64 import b64encode
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Final
from xml.sax.saxutils import escape

from tasks.markdown import plain
from tasks.report import failures_first
from thousandeyes import marks
from thousandeyes.outcomes import GOOD
from thousandeyes.record import Record
from thousandeyes.text import counted, cut, isolated, listed

MOST_TESTS: Final = 50
"""Tests that a picture shows; the others are counted. It shows at most `marks.MOST_RUNS` runs."""
_MOST_NAMED: Final = 10
_LONGEST_NAME: Final = 60

# In pixels. An artifact's page has some 580 for its text in a window of 1280.
_NAMES, _COLUMN, _ROW, _HEAD, _MARGIN = 196, 12, 16, 26, 8
_HEADINGS: Final = 84
"""Pixels that both headings need; over fewer columns they would overlap."""
_FORMS: Final = {
    marks.PASSED: ((2, 4), "h8v8h-8z", 'fill="#57ab5a"'),
    marks.FAILED: ((0, 1), "h11v14h-11z", 'fill="#b3111d"'),
    marks.NO_DATA: ((2, 4), "h7v7h-7z", 'fill="none" stroke="#9a6700" stroke-width="2"'),
    marks.NOT_SENT: ((5, 7), "h3v3h-3z", 'fill="#8c959f"'),
}
"""Where in its cell the form of a mark begins, how it continues, and how it looks."""


def section(records: Iterable[Record]) -> list[str]:
    """Return the Markdown of the picture under a heading; empty before a second run."""
    known = [record for record in _ordered(records) if _history(record)]
    shown, runs = known[:MOST_TESTS], max((len(_history(one)) for one in known), default=0)
    if runs < 2:  # noqa: PLR2004 - one run is no history
        return []
    meaning = ", ".join(f"{mark} {words}" for mark, words in marks.MEANING.items())
    more = len(known) - len(shown)
    rest = f" Not shown: {counted(more, 'more test')}." if more else ""
    address = b64encode(picture(shown, runs).encode()).decode()
    return [
        "## History",
        "",
        f"The last {runs} runs, the newest at the right.{rest} The marks: {meaning}.",
        "",
        f"![{alt_text(shown, runs)}](data:image/svg+xml;base64,{address})",
        "",
    ]


def picture(records: Sequence[Record], runs: int) -> str:
    """Return an SVG with a row for each test and a column for each run.

    Args:
        records: The tests, from top to bottom.
        runs: How many columns there are, at least the longest history's.
    """
    left, width = _MARGIN + _NAMES, 2 * _MARGIN + _NAMES + _COLUMN * marks.MOST_RUNS
    right = left + _COLUMN * runs
    older = f'<text x="{left}" y="17">older</text>' if right - left >= _HEADINGS else ""
    height = _HEAD + _ROW * (len(records) + 2)
    drawn: dict[str, list[str]] = {mark: [] for mark in _FORMS}
    names = []
    for number, record in enumerate(records):
        top = _HEAD + _ROW * number
        names.append(f'<text y="{top + 12}">{_name(record)}</text>')
        history = _history(record)
        for column, mark in enumerate(history, start=runs - len(history)):
            drawn[mark].append(_form(mark, left + _COLUMN * column, top))
    legend = []
    for number, (mark, words) in enumerate(marks.MEANING.items()):
        x, top = left + number * 84, height - _ROW - 4
        drawn[mark].append(_form(mark, x, top))
        legend.append(f'<text x="{x + 16}" y="{top + 12}">{words}</text>')
    paths = [f'<path d="{"".join(drawn[mark])}" {_FORMS[mark][2]}/>' for mark in _FORMS]
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
        f'viewBox="0 0 {width} {height}" font-family="sans-serif" font-size="11" fill="#1f2328">'
        f'<rect width="{width}" height="{height}" rx="6" fill="#f6f8fa"/>'
        f"{older}"
        f'<text x="{right}" y="17" text-anchor="end">this run</text>'
        # An SVG inside the SVG cuts off names that are wider than it.
        f'<svg x="{_MARGIN}" width="{_NAMES - 6}" height="{height}">{"".join(names)}</svg>'
        f"{''.join(paths)}{''.join(legend)}</svg>"
    )


def alt_text(records: Sequence[Record], runs: int) -> str:
    """Return what the picture says, in Markdown that reads the same as plain text."""
    newest = Counter(_history(record)[-1] for record in records)
    told = [f"{newest[mark]} {words}" for mark, words in marks.MEANING.items() if newest[mark]]
    bad = [(record, failures) for record in records if (failures := _failures(record))]
    often = [f"{_label(one)} in {count} of {len(_history(one))} runs" for one, count in bad]
    failed = (
        f"Failed or without data: {listed(often, _MOST_NAMED, '; ')}" if often else "None failed"
    )
    return (
        f"Heat map of {counted(len(records), 'test')} over {runs} runs, the newest at the right. "
        f"This run: {', '.join(told)}. {failed}."
    )


def _ordered(records: Iterable[Record]) -> list[Record]:
    """Sort what needs a look first, then what failed most often."""
    ordered = failures_first(records)
    bad = [record for record in ordered if record.ending not in GOOD]
    good = [record for record in ordered if record.ending in GOOD]
    return bad + sorted(good, key=_failures, reverse=True)


def _history(record: Record) -> str:
    return record.standing.history if record.standing else ""


def _failures(record: Record) -> int:
    history = _history(record)
    return history.count(marks.FAILED) + history.count(marks.NO_DATA)


def _form(mark: str, x: int, y: int) -> str:
    (right, down), form, _ = _FORMS[mark]
    return f"M{x + right} {y + down}{form}"


def _name(record: Record) -> str:
    name = cut(record.test_name or record.test_id, _LONGEST_NAME)
    return escape(name.translate({0xFFFE: "?", 0xFFFF: "?"}))  # no XML may hold these


def _label(record: Record) -> str:
    # The first UI shows a picture's alternative text as written, escapes and all.
    name = isolated(cut(record.test_name, _LONGEST_NAME))
    return name if name and plain(name) == name else plain(record.test_id)
