"""The flow: measure, wait for the change, measure again, and report the difference."""

from datetime import UTC, datetime, timedelta
from typing import Annotated, Final
from uuid import UUID

import prefect.runtime
from prefect import flow, get_client, get_run_logger
from prefect.client.schemas.objects import FlowRun
from pydantic import Field

from flows.around_change.difference import Difference
from flows.around_change.halves import Half, Halves
from flows.around_change.options import AroundChangeOptions
from flows.around_change.waiting import NobodyResumed, Until, check_until, wait_for_change
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
from tasks.report import RunReport, failures_first
from tasks.server_calls import until_answered
from thousandeyes.record import Record
from thousandeyes.text import clock, duration, with_full_stop

SUMMARY: Final = "endpoint-changes-"
"""What the key of the summary begins with; the deployment's slug follows."""
_NO_MORE: Final = (
    "There is no first half to compare with, and nothing more was sent: start a new run"
)
_RETRY: Final = "Retry this run to wait again: what was measured before the change is kept."


@telling_mistakes
@flow(name="rerun-around-change", persist_result=False, retries=0)
async def rerun_around_change(
    test_ids: PastedIds = [],  # noqa: B006 - never changed; the form shows it
    groups: GroupNames = [],  # noqa: B006
    credentials: OneCredentials = None,
    until: Until = None,
    longest_wait_hours: Annotated[float, Field(gt=0, le=24 * 30)] = 24,
    options: AroundChangeOptions = AroundChangeOptions(),  # noqa: B008 - frozen
) -> list[Record]:
    """Run tests before and after a change, with results, and report what the change did to them.

    Between the halves the run is Suspended until somebody presses Resume. However it ends there or
    later, the first half is never sent again.

    Args:
        test_ids: IDs of the endpoint instant tests, such as 765231567: a pasted text, or a list of
            such texts. May be empty if groups or one of the options name_pattern and test_ids_file
            are given.
        groups: Endpoint Test Group blocks, by name, whose tests are run after those named by ID.
        credentials: A ThousandEyes Credentials block, by name, and never a token. Empty: the one
            that the groups name, else the worker's environment.
        until: When to measure again, such as 2026-11-28T22:00+01:00, without anybody resuming the
            run. Empty: when somebody resumes it.
        longest_wait_hours: How long to wait for somebody to resume the run. If nobody does, it
            fails; what was measured before the change is kept.
        options: How both halves run.

    Returns:
        One record per test, as measured after the change; `standing.change` is the difference.

    Raises:
        InvalidTestIds: There are no tests, or something is not an ID; nothing was sent.
        RerunFailed: A test ended in one of `options.fail_on`; nothing could be measured before the
            change, or not all by `until`; or nobody resumed the run.
        RunStopped: Somebody cancelled one of the halves.
        SettingsError: `until` is past or over a year away, or a block is missing, or a setting is
            wrong.
    """
    flow_run = await _own_run()
    async with reporting_mistakes(SUMMARY):
        asked = Parameters.read(test_ids=test_ids, groups=groups, credentials=credentials)
        halves = Halves(flow_run, asked.test_ids, asked.groups, asked.credentials, options)
        before = await _measured_before(halves, until)
        longest = timedelta(hours=longest_wait_hours)
        failed = _why_of_no_use(before, until) or await _wait(flow_run, before, until, longest)
        if failed:
            await _tell(failed, before, "Failed.")
            report = RunReport(before.records, passed=False, sentence=failed, took="")
        else:
            report = await _measured_after(halves, before)
    return as_state(report, RerunFailed)


@until_answered
async def _own_run() -> FlowRun:
    async with get_client() as client:
        return await client.read_flow_run(UUID(prefect.runtime.flow_run.id))


async def _measured_before(halves: Halves, until: datetime | None) -> Half:
    """Return the first half, measured now unless it was before.

    Raises:
        RunStopped: Somebody cancelled it.
        SettingsError: It still has to be measured, and `until` is past or over a year away.
    """
    known = await halves.looked_up()
    await known.mark_dead()
    if (before := await known.before()) and before.has_measured:
        get_run_logger().info("Measured before the change already: %s", before.sentence)
        return before
    check_until(until, datetime.now(UTC), _NO_MORE if known.children else "Nothing was sent")
    await halves.measure_before()
    before = await (await halves.looked_up()).before()
    assert before  # noqa: S101 - it raises what keeps it from its end
    return before


def _why_of_no_use(before: Half, until: datetime | None) -> str | None:
    """Return why the first half can't stand for before the change, if so, and what to do."""
    if not before.has_measured:
        words = f"No test could be run before the change{named(before.records)}."
        for worst in failures_first(before.records)[:1]:
            words += f" Why: {with_full_stop(worst.why)}"
        return f"{words} This run does not wait: mend that, and start a new run."
    if until and (late := before.seconds_late(until)):
        return (
            f"The first half ended {duration(late)} after {clock(until)}: it may have been "
            "measured with the change made. Start a new run, earlier or with a later until."
        )
    return None


async def _measured_after(halves: Halves, before: Half) -> RunReport:
    """Measure the second half, and report the difference."""
    await _tell(f"Measuring again, after the change, since {clock(datetime.now(UTC))}.", before)
    records = await halves.measure_after(before)
    difference = Difference.of(before.records, records, halves.options.fail_on)
    reports = {"before the change": await _report_of(before.run)}
    if after := (await halves.looked_up()).after(before):
        reports["after the change"] = await _report_of(after)
    await _write(difference.markdown(reports), difference.sentence)
    return RunReport(records, difference.passed, difference.sentence, took="")


async def _wait(
    flow_run: FlowRun, before: Half, until: datetime | None, longest: timedelta
) -> str | None:
    """Return when the second half should begin; or why it should not, and what to do."""

    async def tell(end: datetime) -> str:
        then = (
            f"All tests are measured again at {clock(end)}."
            if until
            else f"Make the change, then resume this run by {clock(end)}."
        )
        words = f"Measured before the change: {before.sentence} {then}"
        late = "" if until else f"If nobody resumes it by then, it fails. {_RETRY}"
        await _tell(f"{words} {late}".strip(), before)
        return words

    try:
        await wait_for_change(flow_run, until, longest, tell)
    except NobodyResumed:
        late = f"Nobody resumed this run within {duration(longest.total_seconds())}."
        return f"{late} {_RETRY}"
    return None


async def _tell(words: str, before: Half, word: str = "") -> None:
    """Write where the run stands, or with a word how it ended, into its summary."""
    get_run_logger().info(words)
    link = f"[The report from before the change]({await _report_of(before.run)})"
    begin = f"**{word}** " if word else ""
    await _write(f"{begin}{plain(words)}\n\n{link}\n", f"{word} {words}".strip())


async def _write(text: str, description: str) -> None:
    await write_markdown("the summary", SUMMARY + await deployment_slug(), text, description)


async def _report_of(half: FlowRun) -> str:
    """Return the address of a half's own summary, or of its run if that has none."""
    artifact = await newest_artifact(await runs_of(half), RERUNS.summary)
    return ui_link(f"artifacts/artifact/{artifact.id}" if artifact else f"runs/flow-run/{half.id}")
