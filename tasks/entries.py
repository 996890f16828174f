"""One test in a summary: what became of it, why, its laptops, its last runs and its links."""

from collections.abc import Callable, Sequence
from typing import Final

from tasks.artifacts import artifact_key
from tasks.links import history_link
from tasks.markdown import plain
from tasks.report import counts
from thousandeyes.app_links import is_app_link
from thousandeyes.change_words import how_long
from thousandeyes.outcomes import in_words
from thousandeyes.record import Record
from thousandeyes.standing import Change
from thousandeyes.text import isolated, with_full_stop
from thousandeyes.verdict_words import agents_isolated

LARGEST_LIST: Final = 50
"""Tests that a summary names one by one."""
_NEWS: Final = {Change.NEW_FAILURE: "new", Change.NEW: "not measured before"}


def section(
    heading: str, records: Sequence[Record], noted: Callable[[Record], str] = lambda _: ""
) -> list[str]:
    """Return the lines of a list of tests under a heading; none if there are no tests.

    Args:
        heading: Markdown.
        records: In reading order; of many the first are listed and the others counted.
        noted: Returns Markdown for the end of a test's first line.
    """
    if not records:
        return []
    lines = [f"## {heading}", ""]
    for record in records[:LARGEST_LIST]:
        lines += _entry(record, noted(record))
    if rest := records[LARGEST_LIST:]:
        lines += [f"and {len(rest)} more: {counts(rest)}.", ""]
    return lines


def _entry(record: Record, note: str) -> list[str]:
    """Return a test as an item of a list, which wraps, whereas a table's cells are cut off."""
    paragraphs = _reasons(record)
    if (standing := record.standing) and len(standing.history) > 1:
        runs = len(standing.history)
        paragraphs.append(f"Last {runs} runs, the newest at the right: {standing.history}")
    if record.verdict and record.app_link and is_app_link(record.app_link):
        paragraphs.append(f"[Results in ThousandEyes]({record.app_link})")
    lines = [f"- {_test(record)}: {_ending(record)}{note}", ""]
    for paragraph in paragraphs:
        lines += [f"  {paragraph}", ""]
    return lines


def _test(record: Record) -> str:
    # Nothing is bold: between two names with backticks the first UI would show the asterisks.
    # A test that never had its turn, or was not created, has no artifact to link to. The name is
    # not part of the link: Prefect's first UI would show it with its escapes.
    test = plain(record.test_id)
    if record.test_id and record.attempts:
        test = f"[{test}]({history_link(artifact_key(record.test_id))})"
    if name := plain(isolated(record.test_name)):
        test = f"{name} ({test})" if test else name
    return test


def _ending(record: Record) -> str:
    text = in_words(record.ending)
    if record.attempts > 1:
        text += f" after {record.attempts} attempts"
    if standing := record.standing:
        if standing.change is Change.STILL_FAILING:
            text += f", {how_long(standing)}"
        elif standing.change in _NEWS:
            text += f", {_NEWS[standing.change]}"
    return f"{text} (may have run twice)" if record.maybe_duplicate else text


def _reasons(record: Record) -> list[str]:
    reason, laptops, paths = (
        plain(agents_isolated(text, record.verdict))
        for text in (record.reason, record.laptops, record.paths or "")
    )
    told = [f"Why: {with_full_stop(reason)}"] if reason else []
    if laptops:
        told.append(f"Laptops that failed: {with_full_stop(laptops)}")
    if paths:
        told.append(with_full_stop(paths))
    return told
