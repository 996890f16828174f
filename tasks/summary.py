"""A run's summary for people: the page, as Markdown. Pure."""

from collections import Counter
from collections.abc import Iterable
from functools import partial
from typing import Final

from tasks import heat_map
from tasks.entries import section
from tasks.markdown import plain
from tasks.report import RunReport, failures_first
from thousandeyes.outcomes import GOOD, in_words
from thousandeyes.record import Record
from thousandeyes.text import isolated, listed

MOST_PROVISIONAL: Final = 10
"""Tests with provisional verdicts that the summary names."""


def markdown(report: RunReport, table_link: str) -> str:
    """Return the summary: the sentence, what laptops share, what needs a look, counts."""
    ended = f"**{report.ended}** " if report.ended else ""
    lines = [f"{ended}{plain(report.sentence)}", ""]
    lines += [plain(report.in_common), ""] if report.in_common else []
    lines += _provisional(report.records)
    lines += [report.what_changed, ""] if report.what_changed else []
    lines += [report.preface, ""] if report.preface else []
    ordered = failures_first(report.records)
    of_which = partial(_organization, report)
    lines += section("Needs a look", [one for one in ordered if one.ending not in GOOD], of_which)
    lines += heat_map.section(report.records)
    twice = [one for one in ordered if one.ending in GOOD and one.maybe_duplicate]
    lines += section("Ended well, but may have run twice", twice, of_which)
    lines += [f"[The tests of this run, as a table]({table_link})", ""]
    lines += [f"It took {report.took}.", "", *_counted(report)]
    return "\n".join(lines) + "\n"


def _organization(report: RunReport, record: Record) -> str:
    name = report.organizations.get(record.test_id)
    return f", of {plain(name)}" if name else ""


def _provisional(records: Iterable[Record]) -> list[str]:
    """Return which verdicts may still change, and what to do about it."""
    early = [record for record in records if record.is_provisional]
    if not early:
        return []
    are, them = ("verdict is", "it") if len(early) == 1 else ("verdicts are", "them")
    names = listed([_answered(record) for record in early], MOST_PROVISIONAL)
    text = (
        f"{len(early)} {are} provisional, since not all results are in: {plain(names)}. A quarter "
        f"of an hour after the run, start the deployment `judge-again` to make {them} final, "
        "unless an automation does so."
    )
    return [text, ""]


def _answered(record: Record) -> str:
    name, verdict = isolated(record.test_name) or record.test_id, record.verdict
    if not verdict or verdict.agents_expected is None:
        return name
    return f"{name} ({verdict.agents_answered} of {verdict.agents_expected} answered)"


def _counted(report: RunReport) -> list[str]:
    counted = Counter(record.ending for record in report.records)
    return [
        f"- {counted[ending]} {in_words(ending)}: {meaning}"
        for ending, meaning in report.meaning.items()
        if counted[ending]
    ]
