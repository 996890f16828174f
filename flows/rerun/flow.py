"""The flow: take the list, continue where an earlier attempt left off, run, and always report."""

import time
from datetime import UTC, datetime
from functools import partial

from prefect import flow, get_run_logger

from flows.rerun.comparison import comparison_of
from flows.rerun.dry_run import dry_run
from flows.rerun.failing_paths import FailingPaths
from flows.rerun.judging import judged_otherwise
from flows.rerun.later_runs import rounds_of_others
from flows.rerun.naming import give_name, name_blocks, name_of
from flows.rerun.options import RerunOptions
from flows.rerun.parameters import FLOW, Parameters
from flows.rerun.plan import tell_plan
from flows.rerun.progress import Progress
from flows.rerun.results import wants_results
from flows.rerun.run import Run
from flows.rerun.selection import Selection
from flows.rerun.sharing import what_they_share
from flows.rerun.sources import read_selection
from flows.rerun.watched import watched
from flows.runs.concurrency import in_background
from flows.runs.ending import (
    RunFailed,
    as_state,
    reporting_mistakes,
    telling_mistakes,
    to_its_end,
)
from flows.runs.form import GroupNames, OneCredentials, PastedIds
from flows.runs.history import died_unseen, recorded
from flows.runs.ownership import OwnRun
from flows.runs.recording import Artifacts
from flows.runs.sending import Sending
from flows.runs.sentence import passed_and_why
from tasks.deployment import deployment_slug
from tasks.loading import load_settings
from tasks.publication import DRY_RUNS, RERUNS, publish
from tasks.report import RunReport
from thousandeyes.client import ThousandEyesClient
from thousandeyes.delivery import Delivery
from thousandeyes.record import Record
from thousandeyes.text import counted, duration


class RerunFailed(RunFailed):
    """A run of `rerun-endpoint-tests` failed; raised in the flow that called it."""


@telling_mistakes
@flow(name=FLOW, persist_result=False)
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
    flow_run = watched().flow_run = own_run.flow_run
    async with reporting_mistakes((DRY_RUNS if options.dry_run else RERUNS).summary):
        asked = Parameters.read(
            test_ids=test_ids, groups=groups, credentials=credentials, options=options
        )
        options.check_results_are_awaited()
        await name_blocks(flow_run, asked)
        selection = await read_selection(asked, flow_run.start_time)
        due = flow_run.expected_start_time or datetime.now(UTC)
        await give_name(flow_run, name_of(asked, len(selection.test_ids), due), asked.groups)
        if options.dry_run:
            if options.compare_with:  # what can't be right is refused here, too
                await comparison_of(asked, flow_run, {}, selection.test_ids)
            return await _look_ahead(selection, began)
    return await _rerun(selection, asked, own_run, began)


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


async def _rerun(
    selection: Selection, asked: Parameters, own_run: OwnRun, began: float
) -> list[Record]:
    """Run the tests, continuing where an earlier attempt left off, and report however it ends."""
    logger, options, flow_run = get_run_logger(), asked.options, own_run.flow_run
    died = None
    async with reporting_mistakes(RERUNS.summary):
        earlier = await recorded(flow_run)
        if options.delivery is Delivery.AT_LEAST_ONCE:
            died = await died_unseen(flow_run)
        comparison = await comparison_of(asked, flow_run, earlier, selection.test_ids)
    records = selection.take_up(earlier, options.delivery)
    seen = watched()
    seen.records = records
    to_send = [record.taken_up() for record in records if record.needs_call(options.delivery)]
    if earlier:
        logger.info(
            "Continuing where an earlier attempt left off: %d of %s still to be sent",
            len(to_send),
            counted(len(records), "test"),
        )
    left_open = [
        record
        for record in records
        if not record.needs_call(options.delivery) and wants_results(record, options)
    ]
    artifacts = Artifacts(comparison.note)
    seen.unrecorded = lambda: [one for one in to_send if one.begun and artifacts.lacks(one)]
    sending = Sending(to_send, own_run, artifacts.keep, logger)
    paths = FailingPaths(options, artifacts.keep, logger)
    progress = Progress([*to_send, *left_open])

    async def work() -> None:
        if not (to_send or left_open):
            return
        async with ThousandEyesClient(await load_settings(selection.credentials)) as client:
            run = Run(
                client,
                sending,
                artifacts,
                options,
                selection.thresholds,
                others=partial(rounds_of_others, flow_run),
                logger=logger,
            )

            def stop(reason: str) -> None:
                run.stop(reason)
                paths.stop(reason)

            seen.standing = partial(progress.standing, client.gate, run.results)
            async with (
                in_background(own_run.watch(stop)),
                in_background(tell_plan(client.gate, to_send, options)),
                in_background(progress.follow(client.gate, run.results)),
            ):
                await run.execute(to_send, left_open, died)
                await paths.read(client, records)

    def report() -> RunReport:
        for record in records:
            comparison.note(record)
        passed, sentence = passed_and_why(records, options.fail_on, sending.stopped)
        if earlier and not (passed or to_send or left_open):
            sentence += (
                " Nothing was left to send: to run again what failed, start a run with "
                f"only_failed_of={flow_run.id}."
            )
        told = what_they_share(records, with_names=options.name_laptops_and_networks)
        seen.report = RunReport(
            records,
            passed,
            sentence,
            "; ".join(filter(None, (duration(time.monotonic() - began), paths.spent))),
            preface=judged_otherwise(records, selection.thresholds, options.thresholds),
            in_common=told.text,
            what_changed=comparison.markdown(records),
            cause=told.headline,
            gone=comparison.carried(records),
            stopped=sending.stopped,
        )
        return seen.report

    async def close() -> None:
        await sending.close()
        await artifacts.written()
        await progress.close(report().message)

    return await to_its_end(
        work(),
        own_run=own_run,
        cut_short=sending.cut_short,
        report=report,
        close=close,
        failure=RerunFailed,
    )
