"""The flow `judge-run-again`: read the results of a run that has ended, and judge it by them."""

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from typing import Final

from prefect import flow, get_run_logger
from prefect.client.schemas.objects import Artifact, FlowRun
from prefect.types import DateTime

from flows.rerun.baseline import Baseline
from flows.rerun.comparison import Comparison, comparison_of
from flows.rerun.earlier import find_run, naming_tests
from flows.rerun.failing_paths import FailingPaths
from flows.rerun.flow import RerunFailed
from flows.rerun.judging import Judging, judged_otherwise
from flows.rerun.later_runs import rounds_of_others
from flows.rerun.looking_up import look_up
from flows.rerun.naming import called
from flows.rerun.open_verdicts import is_open, what_became
from flows.rerun.parameters import Parameters
from flows.rerun.reading_again import ReadingAgain
from flows.rerun.selection import Selection, select
from flows.rerun.sharing import what_they_share
from flows.rerun.watched import watched
from flows.runs.ending import as_state, telling_mistakes, to_its_end
from flows.runs.history import recorded, runs_of
from flows.runs.ownership import OwnRun
from flows.runs.recording import Artifacts
from flows.runs.sentence import passed_and_why
from tasks.artifact_creation import why_stopped
from tasks.artifacts import newest_artifact
from tasks.deployment import slug_of
from tasks.loading import load_groups, load_settings
from tasks.markdown import plain
from tasks.publication import RERUNS, Place
from tasks.report import RunReport
from thousandeyes.changes import judged_anew
from thousandeyes.client import ThousandEyesClient
from thousandeyes.errors import SettingsError
from thousandeyes.outcomes import VerdictName
from thousandeyes.record import Record
from thousandeyes.text import counted, duration
from thousandeyes.thresholds import Thresholds

_LAST: Final = datetime.max.replace(tzinfo=UTC)


@telling_mistakes
@flow(name="judge-run-again", persist_result=False, retries=0)
async def judge_run_again(run: str) -> list[Record]:
    """Read the results of a run that has ended, and make its provisional verdicts final.

    Nothing is sent. Results that arrived after the run had judged count if they belong to the run's
    own rerun of a test. Each test whose verdict changes gets a new version of its artifact, and the
    run gets new versions of its summary and its table. Verdicts that were final stay.

    Args:
        run: The ID of a flow run of rerun-endpoint-tests that waited for results, or a deployment
            such as rerun-endpoint-tests/scheduled for its latest run.

    Returns:
        One record per test of that run, in the order in which they were sent.

    Raises:
        RerunFailed: A test ended in one of that run's `fail_on`, or results could not be read.
        SettingsError: It is not such a run, or the token or a block is missing; nothing was read.
    """
    own_run, seen = await OwnRun.of_this_process(), watched()
    with _nothing_read():
        judged, asked = await _find(run, own_run.flow_run.start_time)
        if not (found := await recorded(judged)):
            raise SettingsError(
                f"judge_again: {judged.name!r} has recorded nothing. Nothing was read."
            )
        records = sorted(found.values(), key=lambda record: record.started_at or _LAST)
        seen.asked, seen.records = asked, records
        seen.begin(own_run.flow_run)
        selection = await _selection(asked, judged, [record.test_id for record in records])
        settings = await load_settings(selection.credentials)
    comparison = await comparison_of(asked, judged, found, found)
    summary = await newest_artifact(await runs_of(judged), RERUNS.summary)
    stopped = why_stopped(summary) if summary else None
    judging = _JudgedRun(judged, asked, records, comparison, stopped)
    seen.standing = lambda: f"reading the results of {counted(len(judging.before), 'test')} again"
    if not judging.has_work:
        seen.report = judging.report()
        return as_state(seen.report, RerunFailed)

    async def work() -> None:
        async with ThousandEyesClient(settings) as client:
            await judging.execute(client, selection)

    def report() -> RunReport:
        seen.report = judging.report()
        return seen.report

    return await to_its_end(
        own_run.cutting_short(work(), judging.cut_short),
        own_run=own_run,
        cut_short=judging.cut_short,
        report=report,
        close=judging.artifacts.written,
        failure=RerunFailed,
        place=await _place_of(judged, summary),
    )


class _JudgedRun:
    """One run that is judged again; its records are updated in place.

    `before` is how the tests with open verdicts stood, by ID. `has_work` says whether there is
    anything to read: their results, or paths that the run did not read.

    Args:
        run: The run.
        asked: What it was given.
        records: Its tests.
        comparison: The run that it is compared with.
        stopped: What made it stop early, if anything did.
    """

    def __init__(
        self,
        run: FlowRun,
        asked: Parameters,
        records: Sequence[Record],
        comparison: Comparison,
        stopped: str | None,
    ) -> None:
        delivery = asked.options.delivery
        self.before = {one.test_id: one.ending for one in records if is_open(one, delivery)}
        self.artifacts = Artifacts(self._note, ended_run=run.id)
        self._paths = FailingPaths(asked.options, self.artifacts.keep, get_run_logger())
        wants_paths = asked.options.paths_of_failing_agents and any(map(_lacks_paths, records))
        self.has_work = bool(self.before or wants_paths)
        self._run = run
        self._asked = asked
        self._records = records
        self._comparison = comparison
        self._stopped = stopped
        self._began = time.monotonic()
        self._trouble = ""
        self._fewer: Mapping[str, tuple[int, int]] = {}
        self._of_groups: Mapping[str, Thresholds] = {}

    async def execute(self, client: ThousandEyesClient, selection: Selection) -> None:
        """Read the results that exist by now, judge by them, and record what changes."""
        options, logger = self._asked.options, get_run_logger()
        self._of_groups = selection.thresholds
        # Final failures are read too: the summary says what their laptops share.
        tests = [
            record
            for record in self._records
            if record.test_id in self.before or record.ending is VerdictName.FAILED
        ]
        told = counted(len(tests), "test")
        logger.info("Reading the results of %s of run %r again", told, self._run.name)
        baseline = Baseline(client, options, logger)
        await baseline.read(await look_up(client, tests, logger, for_rounds=True), (), tests)
        judging = Judging(client, options, selection.thresholds, baseline, logger)
        reading = ReadingAgain(judging, on_known=self.artifacts.keep)
        others = await rounds_of_others(self._run, tests, baseline)
        self._fewer = reading.fewer
        self._trouble = await reading.read(tests, others)
        await self._paths.read(client, filter(_lacks_paths, tests))

    def cut_short(self, reason: str) -> None:
        """Note that reading ends here."""
        self._trouble = reason
        self._paths.stop(reason)

    def report(self) -> RunReport:
        """Return how the run stands now."""
        options = self._asked.options
        passed, sentence = passed_and_why(self._records, options.fail_on, self._stopped)
        news = what_became(self.before, self._records, self._trouble, self._fewer)
        told = what_they_share(self._records, with_names=options.name_laptops_and_networks)
        lasted = duration(self._run.total_run_time.total_seconds())
        again = f"{lasted}, and judging it again {duration(time.monotonic() - self._began)}"
        otherwise = judged_otherwise(self._records, self._of_groups, options.thresholds)
        return RunReport(
            self._records,
            passed and not self._trouble,
            f"{news} {sentence}",
            "; ".join(filter(None, (again, self._paths.spent))),
            preface=f"This is the run {plain(called(self._run))}, judged again. {otherwise}",
            in_common=told.text,
            what_changed=self._comparison.markdown(self._records),
            cause=told.headline,
            # Trouble fails the flow that judges, not the run that ended before.
            word=self._word(passed),
            stopped=self._stopped,
        )

    def _word(self, passed: bool) -> str:  # noqa: FBT001
        if self._run.state and self._run.state.is_cancelled():
            return "Cancelled"
        return "Passed" if passed else "Failed"

    def _note(self, record: Record) -> None:
        # If the run that it was compared with is gone, what was found then stays.
        known = record.standing
        if known and known.compared_with and not self._comparison.run:
            record.stands(judged_anew(record, known))
        else:
            self._comparison.note(record)


def _lacks_paths(record: Record) -> bool:
    return record.ending is VerdictName.FAILED and record.paths is None


@contextmanager
def _nothing_read() -> Iterator[None]:
    """Let mistakes that every flow refuses say what holds here, where nothing is ever sent."""
    try:
        yield
    except SettingsError as error:
        raise SettingsError(str(error).replace("was sent", "was read")) from None


async def _find(reference: str, before: DateTime | None) -> tuple[FlowRun, Parameters]:
    run, asked = await find_run(reference, before, "judge_again")
    if not asked.options.wait_for_results:
        raise SettingsError(
            f"judge_again: {run.name!r} did not wait for results, so it has no verdicts: name a "
            "run with wait_for_results. Nothing was read."
        )
    return run, asked


async def _place_of(run: FlowRun, summary: Artifact | None) -> Place:
    """Return where the run's own report is: a subflow's is at its caller's deployment."""
    if summary:
        slug = str(summary.key).removeprefix(RERUNS.summary)
    else:  # it died before it reported
        slug = await slug_of(run.deployment_id)
    return replace(RERUNS, deployment=slug, ended_run=run.id)


async def _selection(asked: Parameters, run: FlowRun, test_ids: Sequence[str]) -> Selection:
    """Return what the run's groups say of its tests, as they are now."""
    naming = await naming_tests(asked, run.start_time)
    groups = await load_groups(naming.groups, naming.credentials)
    return select(test_ids, groups, naming.credentials)
