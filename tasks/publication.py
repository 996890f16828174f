"""A run's report in Prefect: at most three artifacts, each with a key of its deployment."""

from dataclasses import dataclass
from functools import partial
from typing import Final
from uuid import UUID

from prefect.context import FlowRunContext

from tasks.artifact_creation import create_markdown, create_table
from tasks.artifacts import (
    DRY_RUN_LEFT_OUT_KEY,
    DRY_RUN_OUTCOMES_KEY,
    NOT_SENT_KEY,
    OUTCOMES_KEY,
)
from tasks.links import history_link, ui_link
from tasks.markdown import plain
from tasks.report import RunReport, counts, not_sent, table
from tasks.server_calls import Confirm, refusals_logged, run_logger, until_taken
from tasks.summary import markdown


@dataclass(frozen=True)
class Place:
    """Where a run's report goes: two artifacts, with keys that end in the deployment's slug.

    The keys begin with `summary` and `table`, and that of a third with `left_out`: what the run
    carries on of tests that it did not send, and which of these its table leaves out. `deployment`
    is the slug and `ended_run` the flow run that they belong to, if not those of the run under way.
    """

    summary: str
    table: str
    left_out: str = ""
    deployment: str | None = None
    ended_run: UUID | None = None


RERUNS: Final = Place("endpoint-reruns-", OUTCOMES_KEY, NOT_SENT_KEY)
DRY_RUNS: Final = Place("endpoint-dry-runs-", DRY_RUN_OUTCOMES_KEY, DRY_RUN_LEFT_OUT_KEY)
CREATIONS: Final = Place("endpoint-creations-", "endpoint-creation-outcomes-")

_ALL_IN_THE_TABLE: Final = "The run's table shows all tests that were not sent"


async def publish(
    report: RunReport, deployment: str, place: Place = RERUNS, confirm: Confirm | None = None
) -> None:
    """Write the table, what the run carries on of tests that it did not send, then the summary.

    The log's last line is the summary's address, so that it leads to the report.
    Waits as long as the Prefect server is unreachable. What the server refuses is left out: the run
    ends as it would have.

    Args:
        report: How the run ended.
        deployment: The slug of its deployment.
        place: Where the report goes.
        confirm: Called before each try to write something; what it raises ends the report.
    """
    rows, words = table(report.records)
    key, ended_run = place.table + deployment, place.ended_run
    link = history_link(key)
    description = described(report, f"{counts(report.records)}.", words)
    with refusals_logged("the table of outcomes"):
        create = partial(create_table, rows, key, description, ended_run)
        made = await until_taken(create, confirm=confirm)
        # The key alone would lead to the newest one, which before long is another run's.
        link = ui_link(f"artifacts/artifact/{made}")
    kept = not_sent(report, rows)
    # An attempt before this one may have left another.
    if place.left_out and (kept or _is_retried()):
        with refusals_logged("what it carries on of tests that were not sent"):
            left_out = place.left_out + deployment
            how = "Tests that this run did not send" if kept else _ALL_IN_THE_TABLE
            create = partial(create_table, kept, left_out, how, ended_run)
            await until_taken(create, confirm=confirm)
    summary_key, text = place.summary + deployment, markdown(report, link)
    description = described(report, report.message)
    stopped = report.stopped
    await _write("the summary", summary_key, text, description, ended_run, stopped, confirm)


def _is_retried() -> bool:
    context = FlowRunContext.get()
    return bool(context and context.flow_run and context.flow_run.run_count > 1)


def described(report: RunReport, *sentences: str) -> str:
    """Return the description of an artifact, Markdown of one line: how it ended, and one reason.

    A key's page lists its versions by their descriptions.
    """
    reason = "" if report.cause else report.first_reason
    return plain(" ".join(filter(None, (report.ended, sentences[0], reason, *sentences[1:]))))


async def write_markdown(what: str, key: str, text: str, description: str) -> str:
    """Write a Markdown artifact, and log and return the address of its page.

    If the server refuses it, it is left out and `what` is logged; the page then lists older ones.
    """
    return await _write(what, key, text, plain(description))


async def _write(
    what: str,
    key: str,
    text: str,
    description: str,
    ended_run: UUID | None = None,
    stopped: str | None = None,
    confirm: Confirm | None = None,
) -> str:
    with refusals_logged(what):
        create = partial(create_markdown, text, key, description, ended_run, stopped)
        made = await until_taken(create, confirm=confirm)
        link = ui_link(f"artifacts/artifact/{made}")
        if not link.startswith("/"):  # else the UI's address is not known
            run_logger().info("%s: %s", what.capitalize(), link)
        return link
    return history_link(key)
