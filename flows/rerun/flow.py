"""The flow: take the list, go on where an earlier attempt stood, run, report in every ending."""

import time

import anyio
from prefect import flow, get_run_logger

from flows.flow_run import ended, to_its_end
from flows.ownership import OwnRun
from flows.rerun.choosing import choose
from flows.rerun.dry_run import dry_run
from flows.rerun.history import recorded
from flows.rerun.options import RerunOptions
from flows.rerun.parameters import FLOW, Parameters
from flows.rerun.plan import duration
from flows.rerun.results import wants_results
from flows.rerun.run import Run
from flows.rerun.selection import PastedIds, PastedNames, Selection
from flows.rerun.verdict import RerunFailed, judge
from tasks.blocks import CredentialsName
from tasks.loading import load_settings
from tasks.summary import RunReport, deployment_slug, publish
from thousandeyes.client import ThousandEyesClient
from thousandeyes.rerun import Delivery, Rerun


@flow(name=FLOW, persist_result=False)
async def rerun_endpoint_tests(
    test_ids: PastedIds = [],  # noqa: B006 - never changed; the form shows it
    groups: PastedNames = [],  # noqa: B006
    credentials: CredentialsName = None,
    options: RerunOptions = RerunOptions(),  # noqa: B008 - frozen
) -> list[Rerun]:
    """Run ThousandEyes endpoint instant tests again, each once, and record what became of it.

    Look at the artifacts for the result: a summary, a table of all tests, and one table a test
    whose versions are its history.

    Args:
        test_ids: IDs of the endpoint instant tests, such as 765231567; one item may hold a pasted
            list. Repeats count once. May be empty when groups are given.
        groups: Names of Endpoint Test Group blocks, whose tests are run after those named by ID.
        credentials: Name of a ThousandEyes Credentials block, never a token. Empty: the
            one that the groups name, else the worker's environment.
        options: How to go about it; the defaults suit a nightly run.

    Returns:
        One record a test, in the order asked for: `flows.rerun.selection` has the rules.

    Raises:
        InvalidTestIds: There is no test at all, or something that is no ID; nothing was sent.
        RerunFailed: A test ended in one of `options.fail_on`.
        SettingsError: The token or a block is missing, or a setting is wrong; nothing was sent.
    """
    began = time.monotonic()
    own_run = await OwnRun.of_this_process()
    asked = Parameters.read(
        test_ids=test_ids, groups=groups, credentials=credentials, options=options
    )
    selection = await choose(asked, own_run.flow_run.start_time)
    if options.dry_run:
        return _ended(await _look_ahead(selection, began))
    return _ended(await _rerun(selection, options, own_run, began))


async def _look_ahead(selection: Selection, began: float) -> RunReport:
    """Find out and report what a run would do."""
    records = selection.records({}, Delivery.AT_LEAST_ONCE)
    async with ThousandEyesClient(await load_settings(selection.credentials)) as client:
        sentence = await dry_run(client, records)
    took = duration(time.monotonic() - began)
    report = RunReport(records, passed=True, sentence=sentence, took=took)
    await publish(report, deployment_slug())
    return report


async def _rerun(
    selection: Selection, options: RerunOptions, own_run: OwnRun, began: float
) -> RunReport:
    """Run the tests, going on where an earlier attempt stood, and report in every ending."""
    earlier = await recorded(own_run.flow_run)
    records = selection.records(earlier, options.delivery)
    pending = [record.taken_up() for record in records if record.needs_call(options.delivery)]
    if earlier:
        get_run_logger().info(
            "Goes on where an earlier attempt stood: %d of %d tests are still to be sent",
            *(len(pending), len(records)),
        )
    left_open = [
        record
        for record in records
        if not record.needs_call(options.delivery) and wants_results(record, options)
    ]
    run = Run(pending, options, own_run, left_open=left_open, thresholds=selection.thresholds)

    async def work() -> None:
        if pending or left_open:
            settings = await load_settings(selection.credentials)
            async with ThousandEyesClient(settings) as client:
                await run.execute(client)

    async def conclude() -> RunReport:
        passed, sentence = judge(records, options.fail_on, run.stopped)
        report = RunReport(records, passed, sentence, duration(time.monotonic() - began))
        with anyio.CancelScope(shield=True):  # also while it is being cancelled
            await publish(report, deployment_slug())
            await run.close(report)
        return report

    return await to_its_end(work(), run, own_run, conclude)


def _ended(report: RunReport) -> list[Rerun]:
    records = list(report.records)
    failure = None if report.passed else RerunFailed(report.sentence, records)
    return ended(records, report.sentence, failure)
