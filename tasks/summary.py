"""A run's summary for people: the table and the Markdown, as values, and their publication."""

import json
import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final
from uuid import UUID

import prefect.runtime
from prefect.settings import PREFECT_UI_URL

from tasks.artifact_creation import as_json, create_markdown, create_table
from tasks.artifacts import OUTCOMES_KEY, artifact_key
from tasks.markdown import plain
from tasks.rows import Row, in_run_table
from tasks.server_calls import refusals_logged, until_taken
from thousandeyes.app_links import is_app_link
from thousandeyes.outcomes import GOOD, MEANING, in_words
from thousandeyes.record import Record
from thousandeyes.text import listed


@dataclass(frozen=True)
class Place:
    """Where a run's report stands: in two artifacts, whose keys end in the deployment's slug.

    `summary` and `table` are what these begin with. `deployment` is the slug and `ended_run` the
    flow run that they belong to, if not those of the run under way.
    """

    summary: str
    table: str
    deployment: str | None = None
    ended_run: UUID | None = None


RERUNS: Final = Place("endpoint-reruns-", OUTCOMES_KEY)
DRY_RUNS: Final = Place("endpoint-dry-runs-", "endpoint-dry-run-outcomes-")
CREATIONS: Final = Place("endpoint-creations-", "endpoint-creation-outcomes-")
LARGEST_TABLE: Final = 1_000
"""Rows in a run's table. Prefect's list of artifacts loads every table whole."""
LARGEST_TABLE_BYTES: Final = 1_040_000
"""Bytes of a run's table in an event, a usual row 300 of them: Prefect drops one of over 1.5 MB."""
MOST_PROVISIONAL: Final = 10
"""Tests with a provisional verdict that the summary names."""
LARGEST_LIST: Final = 50
"""Tests that the summary names one by one."""

_RANK = {ending: rank for rank, ending in enumerate(MEANING)}


@dataclass(frozen=True)
class RunReport:
    """A run as it ended: one record a test, the sentence that says why, and whether it passed.

    `preface` is Markdown that stands before the counts. `in_common` says what the failing laptops
    share, if anything is known of them, and `cause` the strongest of it in one sentence.
    `what_changed` is Markdown, with a heading of its own. `word` stands before the sentence;
    None: Passed or Failed.
    """

    records: Sequence[Record]
    passed: bool
    sentence: str
    took: str
    preface: str = ""
    in_common: str = ""
    what_changed: str = ""
    cause: str = ""
    word: str | None = None

    @property
    def message(self) -> str:
        """The sentence, and the cause where one was found: what states and messages carry."""
        return f"{self.sentence} {self.cause}".strip()


def failures_first(records: Iterable[Record]) -> list[Record]:
    """Sort for reading: what needs a look first, then in the order asked for."""
    return sorted(records, key=lambda record: _RANK[record.ending])


def table(records: Iterable[Record]) -> tuple[list[Row], str]:
    """Return the rows of a run's table, and the words above it, which count what is left out.

    A row for which there is no room is passed over, and costs those after it nothing.
    """
    ordered = failures_first(records)
    rows: list[Row] = []
    rest, left = ordered[LARGEST_TABLE:], LARGEST_TABLE_BYTES
    for record in ordered[:LARGEST_TABLE]:
        values = in_run_table(record)
        # An event holds the table as a text: quotes and letters beyond ASCII are escaped twice.
        size = len(json.dumps(as_json([values])))
        if size > left:
            rest.append(record)
            continue
        rows.append(values)
        left -= size
    words = f"{len(ordered)} tests, what needs a look first"
    if rest:
        words += f"; not shown: {counts(rest)}"
    return rows, words


def counts(records: Iterable[Record]) -> str:
    """Return endings with their counts, such as `2 not found, 85 accepted`."""
    counted = Counter(record.ending for record in records)
    return ", ".join(
        f"{counted[ending]} {in_words(ending)}" for ending in MEANING if counted[ending]
    )


def markdown(report: RunReport, table_link: str) -> str:
    """Return the summary: the sentence, what laptops share, what needs a look, counts."""
    word = ("Passed" if report.passed else "Failed") if report.word is None else report.word
    lines = [f"**{word}.** {plain(report.sentence)}" if word else plain(report.sentence), ""]
    lines += [plain(report.in_common), ""] if report.in_common else []
    lines += _provisional(report.records)
    lines += [report.what_changed, ""] if report.what_changed else []
    lines += [report.preface, ""] if report.preface else []
    ordered = failures_first(report.records)
    lines += section("Needs a look", [one for one in ordered if one.ending not in GOOD])
    twice = [one for one in ordered if one.ending in GOOD and one.maybe_duplicate]
    lines += section("Passed but perhaps run twice", twice)
    lines += [f"[All tests of this run, as a table]({table_link})", ""]
    lines += [f"It took {report.took}.", "", *_counted(report.records)]
    return "\n".join(lines) + "\n"


def _provisional(records: Iterable[Record]) -> list[str]:
    """Return which verdicts late laptops may change, and what to do about it."""
    early = [record for record in records if record.is_provisional]
    if not early:
        return []
    are, them = ("verdict is", "it") if len(early) == 1 else ("verdicts are", "them")
    names = listed([_answered(record) for record in early], MOST_PROVISIONAL)
    text = (
        f"{len(early)} {are} provisional, since laptops may still answer: {plain(names)}. A "
        f"quarter of an hour after the run, the deployment `judge-again` makes {them} final."
    )
    return [text, ""]


def _answered(record: Record) -> str:
    name, verdict = record.test_name or record.test_id, record.verdict
    if not verdict or verdict.agents_expected is None:
        return name
    return f"{name} ({verdict.agents_answered} of {verdict.agents_expected} answered)"


def section(
    heading: str, records: Sequence[Record], noted: Callable[[Record], str] = lambda _: ""
) -> list[str]:
    """Return the lines of a list of tests under a heading; none where there is no test.

    Args:
        heading: Markdown.
        records: In the order of reading; of many the first are listed and the others counted.
        noted: Returns Markdown that stands at the end of a test's line.
    """
    if not records:
        return []
    shown = [_item(record) + noted(record) for record in records[:LARGEST_LIST]]
    lines = [f"## {heading}", "", *shown, ""]
    if rest := records[LARGEST_LIST:]:
        lines += [f"and {len(rest)} more: {counts(rest)}.", ""]
    return lines


def _counted(records: Sequence[Record]) -> list[str]:
    counted = Counter(record.ending for record in records)
    return [
        f"- {counted[ending]} {in_words(ending)}: {meaning}"
        for ending, meaning in MEANING.items()
        if counted[ending]
    ]


async def publish(report: RunReport, deployment: str, place: Place = RERUNS) -> None:
    """Write the table, then the summary; waits as long as the Prefect server is away.

    One that the server refuses is left out: the run ends as it would have.

    Args:
        report: How the run ended.
        deployment: The slug of its deployment.
        place: Where the report stands.
    """
    rows, words = table(report.records)
    key, ended_run = place.table + deployment, place.ended_run
    link = _artifact_link(key)
    with refusals_logged("the table of outcomes"):
        made = await until_taken(lambda: create_table(rows, key, words, ended_run))
        # By its key it would be the newest one: that of another run, before long.
        link = ui_link(f"artifacts/artifact/{made}")
    summary_key, text = place.summary + deployment, markdown(report, link)
    await write_markdown("the summary", summary_key, text, report.message, ended_run)


async def write_markdown(
    what: str, key: str, text: str, description: str, ended_run: UUID | None = None
) -> None:
    """Write a Markdown artifact; one that the server refuses is left out, and `what` is told."""
    with refusals_logged(what):
        await until_taken(lambda: create_markdown(text, key, plain(description), ended_run))


def deployment_slug(name: str | None = None) -> str:
    """Return what tells the artifacts of one deployment from another's; `local` outside one.

    Args:
        name: The deployment's name; that of the run under way when left out.
    """
    name = name or str(prefect.runtime.deployment.name or "local")
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-") or "local"


def _item(record: Record) -> str:
    """Return a test as an item of a list, which wraps where the cells of a table are cut off."""
    # Nothing is bold: between two names with backticks the first UI would show the signs for it.
    # A test that never had its turn, or was not created, has no artifact to link to. The name is no
    # part of the link: Prefect's first UI shows that as it is written.
    test = plain(record.test_id)
    if record.test_id and record.attempts:
        test = f"[{test}]({_artifact_link(artifact_key(record.test_id))})"
    if name := plain(record.test_name):
        test = f"{name} ({test})" if test else name
    text = f"- {test}: {in_words(record.ending)}"
    if record.attempts > 1:
        text += f" after {record.attempts} attempts"
    for said in filter(None, (record.why, record.paths)):
        text += f". {plain(said)}"
    if record.maybe_duplicate:
        text += " (may have run twice)"
    if record.verdict and record.app_link and is_app_link(record.app_link):
        text += f" ([results]({record.app_link}))"
    return text


def _artifact_link(key: str) -> str:
    return ui_link(f"artifacts/key/{key}")


def ui_link(path: str) -> str:
    """Return the address of a page of Prefect's UI, by its path below the UI's root."""
    # Prefect's url_for knows no artifacts. Without a known address, one from the UI's own root.
    return f"{(PREFECT_UI_URL.value() or '').rstrip('/')}/{path}"
