"""The flow: measure, wait for the change, measure again, and tell the difference."""

import time
from datetime import UTC, datetime, timedelta
from typing import Annotated, Final
from uuid import UUID

import prefect.runtime
from prefect import flow, get_client, get_run_logger
from prefect.client.schemas.objects import FlowRun
from pydantic import AwareDatetime, Field

from flows.around_change.difference import Difference
from flows.around_change.halves import Half, Halves
from flows.around_change.options import AroundChangeOptions
from flows.around_change.waiting import NobodyResumed, check_until, wait_for_change
from flows.rerun import RerunFailed
from flows.rerun.parameters import Parameters
from flows.runs.ending import as_state, reporting_mistakes, telling_mistakes
from flows.runs.form import GroupNames, OneCredentials, PastedIds
from flows.runs.history import runs_of
from flows.runs.sentence import named
from tasks.artifacts import newest_artifact
from tasks.deployment import deployment_slug
from tasks.links import ui_link
from tasks.markdown import plain
from tasks.publication import RERUNS, write_markdown
from tasks.report import RunReport
from tasks.server_calls import until_answered
from thousandeyes.record import Record
from thousandeyes.text import duration

SUMMARY: Final = "endpoint-changes-"
"""What the key of the summary begins with; the deployment's slug follows."""
_RETRY: Final = "Retry this run to wait once more: what was measured before the change is kept."


@telling_mistakes
@flow(name="rerun-around-change", persist_result=False)
async def rerun_around_change(
    test_ids: PastedIds = [],  # noqa: B006 - never changed; the form shows it
    groups: GroupNames = [],  # noqa: B006
    credentials: OneCredentials = None,
    until: AwareDatetime | None = None,
    longest_wait_hours: Annotated[float, Field(gt=0, le=24 * 30)] = 24,
    options: AroundChangeOptions = AroundChangeOptions(),  # noqa: B008 - frozen
) -> list[Record]:
    """Run tests before and after a change, results included, and tell what the change did to them.

    Between the halves the run is Suspended, and goes on when somebody presses Resume. Whatever ends
    it there or later, the first half is never sent again.

    Args:
        test_ids: IDs of the endpoint instant tests, such as 765231567: a pasted text, or a list of
            such texts. May be empty when groups are given.
        groups: Endpoint Test Group blocks, by name, whose tests are run after those named by ID.
        credentials: A ThousandEyes Credentials block, by name, and never a token. Empty: the one
            that the groups name, else the worker's environment.
        until: When to measure again, such as 2026-11-28T22:00+01:00, without anybody resuming the
            run. Empty: when somebody resumes it.
        longest_wait_hours: How long somebody has time to resume the run. After that it fails, and
            what was measured before stands.
        options: How to go about it, in both halves.

    Returns:
        One record a test, as it was measured after the change; `standing.change` is the difference.

    Raises:
        InvalidTestIds: There is no test at all, or something that is no ID; nothing was sent.
        RerunFailed: A test ended in one of `options.fail_on`; nothing could be measured before the
            change; or nobody resumed the run.
        SettingsError: `until` is over or a year away, a block is missing, or a setting is wrong.
    """
    began = time.monotonic()
    flow_run = await _own_run()
    async with reporting_mistakes(SUMMARY):
        asked = Parameters.read(test_ids=test_ids, groups=groups, credentials=credentials)
        halves = Halves(flow_run, asked.test_ids, asked.groups, asked.credentials, options)
        before = await _measured_before(halves, until)
    if not before.has_measured:
        words = f"No test could be run before the change{named(before.records)}."
        return _failed(before, f"{words} Nothing is waited for: mend that, and retry this run.")
    longest = timedelta(hours=longest_wait_hours)
    try:
        await _wait(flow_run, before, until, longest)
    except NobodyResumed:
        late = f"Nobody resumed this run within {duration(longest.total_seconds())}."
        return _failed(before, f"{late} {_RETRY}")
    await _tell(f"Measuring again after the change since {_clock(datetime.now(UTC))}.", before)
    records = await halves.measure_after(before)
    difference = Difference.of(before.records, records, options.fail_on)
    reports = {"before the change": await _report_of(before.run)}
    if after := (await halves.looked_up()).after(before):
        reports["after the change"] = await _report_of(after)
    await _write(difference.markdown(reports), difference.sentence)
    took = duration(time.monotonic() - began)
    return as_state(RunReport(records, difference.passed, difference.sentence, took), RerunFailed)


def _failed(before: Half, sentence: str) -> list[Record]:
    report = RunReport(before.records, passed=False, sentence=sentence, took="")
    return as_state(report, RerunFailed)


@until_answered
async def _own_run() -> FlowRun:
    async with get_client() as client:
        return await client.read_flow_run(UUID(prefect.runtime.flow_run.id))


async def _measured_before(halves: Halves, until: datetime | None) -> Half:
    """Return the first half, measured now unless it was before.

    Raises:
        SettingsError: Nothing was sent yet, and `until` is over or a year away.
    """
    known = await halves.looked_up()
    await known.mark_dead()
    if (before := await known.before()) and before.has_measured:
        get_run_logger().info("Measured before the change already: %s", before.sentence)
        return before
    if not known.children:
        check_until(until, datetime.now(UTC))
    await halves.measure_before()
    before = await (await halves.looked_up()).before()
    assert before  # noqa: S101 - it raises what keeps it from its end
    return before


async def _wait(
    flow_run: FlowRun, before: Half, until: datetime | None, longest: timedelta
) -> None:
    async def tell(end: datetime) -> str:
        then = (
            f"They are measured again at {_clock(end)}."
            if until
            else f"Make the change, then resume this run by {_clock(end)}."
        )
        words = f"Measured before the change: {before.sentence} {then}"
        late = "" if until else f"After that it fails. {_RETRY}"
        await _tell(f"{words} {late}".strip(), before)
        return words

    await wait_for_change(flow_run, until, longest, tell)


async def _tell(words: str, before: Half) -> None:
    """Write where the run stands into its summary."""
    get_run_logger().info(words)
    link = f"[The report of before the change]({await _report_of(before.run)})"
    await _write(f"{plain(words)}\n\n{link}\n", words)


async def _write(text: str, description: str) -> None:
    await write_markdown("the summary", SUMMARY + await deployment_slug(), text, description)


async def _report_of(half: FlowRun) -> str:
    """Return the address of a half's own summary, or of its run where that has none."""
    artifact = await newest_artifact(await runs_of(half), RERUNS.summary)
    return ui_link(f"artifacts/artifact/{artifact}" if artifact else f"runs/flow-run/{half.id}")


def _clock(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
