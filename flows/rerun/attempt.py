"""An attempt of a run: what is left to send is sent, results are awaited, and the end is told."""

import time
from collections.abc import Mapping
from functools import partial
from typing import NamedTuple, Self

from prefect import get_run_logger
from prefect.client.schemas.objects import FlowRun

from flows.rerun.comparison import Comparison, comparison_of
from flows.rerun.failing_paths import FailingPaths
from flows.rerun.judging import judged_otherwise
from flows.rerun.later_runs import rounds_of_others
from flows.rerun.parameters import Parameters
from flows.rerun.plan import tell_plan
from flows.rerun.progress import Progress
from flows.rerun.results import wants_results
from flows.rerun.run import Run
from flows.rerun.selection import Selection
from flows.rerun.sharing import what_they_share
from flows.rerun.watched import watched
from flows.runs.concurrency import in_background
from flows.runs.history import Died, died_unseen, recorded
from flows.runs.ownership import OwnRun
from flows.runs.recording import Artifacts
from flows.runs.sending import Sending
from flows.runs.sentence import passed_and_why
from tasks.loading import load_settings
from tasks.report import RunReport
from thousandeyes.client import ThousandEyesClient
from thousandeyes.delivery import Delivery
from thousandeyes.record import Record
from thousandeyes.text import counted, duration


class Before(NamedTuple):
    """What was recorded before this attempt began: by earlier ones, and by the run to compare with.

    `died` is known if an earlier attempt may have sent more than it recorded.
    """

    records: Mapping[str, Record]
    died: Died | None
    comparison: Comparison

    @classmethod
    async def read(cls, asked: Parameters, flow_run: FlowRun, selection: Selection) -> Self:
        """Read it from the Prefect server.

        Raises:
            SettingsError: There is no such run to compare with.
        """
        records = await recorded(flow_run)
        at_least_once = asked.options.delivery is Delivery.AT_LEAST_ONCE
        died = await died_unseen(flow_run) if at_least_once else None
        comparison = await comparison_of(asked, flow_run, records, selection.test_ids)
        return cls(records, died, comparison)


class Attempt:
    """Runs the tests that earlier attempts of the run have left.

    Args:
        selection: The tests, and how to reach the API.
        asked: What the run was started with.
        own_run: The run's own part of Prefect.
        before: What was recorded before.
        began: When the attempt began, on the monotonic clock.
    """

    def __init__(
        self,
        selection: Selection,
        asked: Parameters,
        own_run: OwnRun,
        before: Before,
        began: float,
    ) -> None:
        self._selection, self._options, self._own_run = selection, asked.options, own_run
        self._before, self._began, self._logger = before, began, get_run_logger()
        delivery = self._options.delivery
        self._records = selection.take_up(before.records, delivery)
        self._to_send = [one.taken_up() for one in self._records if one.needs_call(delivery)]
        self._left_open = [
            one
            for one in self._records
            if not one.needs_call(delivery) and wants_results(one, self._options)
        ]
        self._artifacts = Artifacts(before.comparison.note)
        self._sending = Sending(self._to_send, own_run, self._artifacts.keep, self._logger)
        self.cut_short = self._sending.cut_short
        self._paths = FailingPaths(self._options, self._artifacts.keep, self._logger)
        self._progress = Progress([*self._to_send, *self._left_open])
        self._seen = watched()
        self._seen.records, self._seen.unrecorded = self._records, self._unrecorded

    async def work(self) -> None:
        """Send what is left to send, and await the results."""
        if self._before.records:
            self._logger.info(
                "Continuing where an earlier attempt left off: %d of %s still to be sent",
                len(self._to_send),
                counted(len(self._records), "test"),
            )
        if not (self._to_send or self._left_open):
            return
        settings = await load_settings(self._selection.credentials)
        async with ThousandEyesClient(settings) as client:
            run = Run(
                client,
                self._sending,
                self._artifacts,
                self._options,
                self._selection.thresholds,
                others=partial(rounds_of_others, self._own_run.flow_run),
                logger=self._logger,
            )

            def stop(reason: str) -> None:
                run.stop(reason)
                self._paths.stop(reason)

            self._seen.standing = partial(self._progress.standing, client.gate, run.results)
            async with (
                in_background(self._own_run.watch(stop)),
                in_background(tell_plan(client.gate, self._to_send, self._options)),
                in_background(self._progress.follow(client.gate, run.results)),
            ):
                await run.execute(self._to_send, self._left_open, self._before.died)
                await self._paths.read(client, self._records)

    def report(self) -> RunReport:
        """Return how the attempt ended, or how far it came."""
        records, options, comparison = self._records, self._options, self._before.comparison
        for record in records:
            comparison.note(record)
        passed, sentence = passed_and_why(records, options.fail_on, self._sending.stopped)
        if self._before.records and not (passed or self._to_send or self._left_open):
            sentence += (
                " Nothing was left to send: to run again what failed, start a run with "
                f"only_failed_of={self._own_run.flow_run.id}."
            )
        told = what_they_share(records, with_names=options.name_laptops_and_networks)
        took = duration(time.monotonic() - self._began)
        self._seen.report = RunReport(
            records,
            passed,
            sentence,
            "; ".join(filter(None, (took, self._paths.spent))),
            preface=judged_otherwise(records, self._selection.thresholds, options.thresholds),
            in_common=told.text,
            what_changed=comparison.markdown(records),
            cause=told.headline,
            gone=comparison.carried(records),
            stopped=self._sending.stopped,
        )
        return self._seen.report

    async def close(self) -> None:
        """Wait until all of it is written, after the report."""
        await self._sending.close()
        await self._artifacts.written()
        if report := self._seen.report:
            await self._progress.close(report.message)

    def _unrecorded(self) -> list[Record]:
        return [one for one in self._to_send if one.begun and self._artifacts.lacks(one)]
