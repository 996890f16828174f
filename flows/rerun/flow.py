"""The flow: take the list, run its tests or say what would run, and always report."""

import time
from datetime import UTC, datetime

from prefect import flow
from prefect.context import TaskRunContext

from flows.rerun.attempt import Attempt, Before
from flows.rerun.comparison import comparison_of
from flows.rerun.dry_run import dry_run
from flows.rerun.naming import give_name, name_blocks, name_of
from flows.rerun.options import RerunOptions
from flows.rerun.parameters import FLOW, Parameters
from flows.rerun.selection import Selection
from flows.rerun.sources import read_selection
from flows.rerun.watched import watched
from flows.runs.ending import (
    RunFailed,
    as_state,
    reporting_mistakes,
    telling_mistakes,
    to_its_end,
)
from flows.runs.form import GroupNames, OneCredentials, PastedIds
from flows.runs.ownership import OwnRun
from tasks.deployment import deployment_slug
from tasks.loading import load_settings
from tasks.publication import DRY_RUNS, RERUNS, publish
from tasks.report import RunReport
from thousandeyes.client import ThousandEyesClient
from thousandeyes.delivery import Delivery
from thousandeyes.errors import SettingsError
from thousandeyes.record import Record
from thousandeyes.text import duration


class RerunFailed(RunFailed):
    """A run of `rerun-endpoint-tests` failed; raised in the flow that called it."""


@telling_mistakes
# Without `retries`, PREFECT_FLOWS_DEFAULT_RETRIES would count, and a retried flow has no sentence.
@flow(name=FLOW, persist_result=False, retries=0)
async def rerun_endpoint_tests(
    test_ids: PastedIds = [],  # noqa: B006 - never changed; the form shows it
    groups: GroupNames = [],  # noqa: B006
    credentials: OneCredentials = None,
    options: RerunOptions = RerunOptions(),  # noqa: B008 - frozen
) -> list[Record]:
    """Run ThousandEyes endpoint instant tests again, each once, and record what became of it.

    The artifacts hold the result: a summary, a table of the tests, and a table for each test,
    whose versions are its history.

    Args:
        test_ids: IDs of the endpoint instant tests, such as 765231567: a pasted text, or a list of
            such texts. Repeats count once. May be empty if groups or one of the options
            only_failed_of, name_pattern and test_ids_file are given.
        groups: Endpoint Test Group blocks, by name, whose tests are run after those named by ID.
        credentials: A ThousandEyes Credentials block, by name, and never a token. Empty: the one
            that the groups name, else the worker's environment.
        options: How the run works; the defaults suit a nightly run.

    Returns:
        One record per test, in the order asked for: `flows.rerun.selection` has the rules.

    Raises:
        InvalidTestIds: There are no tests, or something is not an ID; nothing was sent.
        RerunFailed: A test ended in one of `options.fail_on`.
        SettingsError: The token or a block is missing, or a setting is wrong; nothing was sent.
    """
    began = time.monotonic()
    own_run = await OwnRun.of_this_process()
    flow_run = own_run.flow_run
    watched().begin(flow_run)
    async with reporting_mistakes((DRY_RUNS if options.dry_run else RERUNS).summary):
        asked = Parameters.read(
            test_ids=test_ids, groups=groups, credentials=credentials, options=options
        )
        options.check_results_are_awaited()
        _check_not_in_retried_task(options)
        await name_blocks(flow_run, asked)
        selection = await read_selection(asked, flow_run.start_time)
        due = flow_run.expected_start_time or datetime.now(UTC)
        await give_name(flow_run, name_of(asked, len(selection.test_ids), due), asked.groups)
        if options.dry_run:
            if options.compare_with:  # what can't be right is refused here, too
                await comparison_of(asked, flow_run, {}, selection.test_ids)
            return await _look_ahead(selection, began)
    async with reporting_mistakes(RERUNS.summary):
        before = await Before.read(asked, flow_run, selection)
    attempt = Attempt(selection, asked, own_run, before, began)
    return await to_its_end(
        attempt.work(),
        own_run=own_run,
        cut_short=attempt.cut_short,
        report=attempt.report,
        close=attempt.close,
        failure=RerunFailed,
    )


def _check_not_in_retried_task(options: RerunOptions) -> None:
    """Refuse to promise what can't be kept: for Prefect, each try of a task is another call.

    Raises:
        SettingsError: A task with retries calls this run, which must send each test at most once.
    """
    caller = TaskRunContext.get()
    if caller and caller.task.retries and options.delivery is Delivery.AT_MOST_ONCE:
        raise SettingsError(
            f"delivery: the task {caller.task.name!r} has retries, and the run that a retry starts "
            "can't know what this one sent, as at_most_once requires. Call this flow from a flow "
            "and not from a task, or call rerun_by_deployment with an idempotency_key. Nothing "
            "was sent."
        )


async def _look_ahead(selection: Selection, began: float) -> list[Record]:
    """Find out and report what a run would do."""
    records = selection.take_up({}, Delivery.AT_LEAST_ONCE)
    seen = watched()
    seen.records = records
    async with ThousandEyesClient(await load_settings(selection.credentials)) as client:
        sentence, plan = await dry_run(client, records)
    took = duration(time.monotonic() - began)
    more = f"[The plan: what is wrong, and what would run]({plan})"
    report = RunReport(records, passed=True, sentence=sentence, took=took, preface=more, word="")
    seen.report = report
    await publish(report, await deployment_slug(), DRY_RUNS)
    return as_state(report, RerunFailed)
