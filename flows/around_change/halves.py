"""The two halves: subflow runs of `rerun-endpoint-tests`, found again by what they were asked."""

from collections.abc import Coroutine, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial
from typing import Any, Final, Self
from uuid import UUID

from prefect import Flow, flow, get_client
from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterParentFlowRunId
from prefect.client.schemas.objects import FlowRun
from prefect.client.schemas.sorting import FlowRunSort
from prefect.exceptions import CancelledRun
from prefect.states import Crashed

from flows.around_change.options import AroundChangeOptions
from flows.rerun.comparison import NOTHING
from flows.rerun.flow import RerunFailed, rerun_endpoint_tests
from flows.rerun.options import RerunOptions
from flows.rerun.parameters import FLOW
from flows.runs.history import recorded, runs_of
from flows.runs.ownership import OwnRun, RunCancelled
from flows.runs.sentence import named
from tasks.report import failures_first
from tasks.server_calls import until_answered, until_taken
from thousandeyes.awaiting import LAST_LOOK
from thousandeyes.errors import RunStopped
from thousandeyes.outcomes import GOOD, Outcome
from thousandeyes.record import Record

_Rerun = Flow[[list[str], list[str], str | None, RerunOptions], Coroutine[Any, Any, list[Record]]]


def _under_its_own_function(name: str) -> _Rerun:
    """Return the flow of reruns once more, under a function of its own.

    Prefect finds the subflows of a run that is executed again by their function and the order of
    the calls: with the first half left out, it would take the second one for the first.
    """

    async def half(
        test_ids: list[str], groups: list[str], credentials: str | None, options: RerunOptions
    ) -> list[Record]:
        return await rerun_endpoint_tests.fn(test_ids, groups, credentials, options)

    half.__name__ = half.__qualname__ = name
    return flow(name=FLOW, persist_result=False, retries=0)(half)


_BEFORE: Final = _under_its_own_function("before_the_change")
_AFTER: Final = _under_its_own_function("after_the_change")


@dataclass(frozen=True)
class Half:
    """A half that was measured: its flow run, and one record per test.

    `awaits` is the longest time that it waited for a test's results.
    """

    run: FlowRun
    records: Sequence[Record]
    awaits: timedelta

    @property
    def sentence(self) -> str:
        """How many tests passed, and which did not."""
        others = [record for record in failures_first(self.records) if record.ending not in GOOD]
        passed = len(self.records) - len(others)
        sentence = f"{passed or 'None'} of {len(self.records)} tests passed"
        left = "; the others did not" if passed else ""
        return f"{sentence}{left}{named(others)}." if others else f"{sentence}."

    @property
    def has_measured(self) -> bool:
        """Whether any test ran at all."""
        return any(record.outcome is Outcome.ACCEPTED for record in self.records)

    def seconds_late(self, moment: datetime) -> float:
        """Return for how long it measured after this moment, as far as is known; 0: not at all.

        Its results count, but not a wait for the Prefect server or paths that it read after them.
        """
        ended = self.run.end_time or moment
        answered = [record.finished_at for record in self.records if record.finished_at]
        if answered and self.run.run_count <= 1:  # else results were perhaps awaited once more
            ended = min(ended, max(answered) + self.awaits)
        return max(0.0, (ended - moment).total_seconds())


@dataclass(frozen=True)
class Halves:
    """What a run around a change measures, and what it measured so far.

    `children` are the flow runs of its halves in the order in which they began.
    """

    parent: FlowRun
    test_ids: list[str]
    groups: list[str]
    credentials: str | None
    options: AroundChangeOptions
    children: Sequence[FlowRun] = ()

    async def looked_up(self) -> Self:
        """Return the halves as they stand on the server by now."""
        return replace(self, children=await _runs_under(await runs_of(self.parent)))

    async def mark_dead(self) -> None:
        """Mark halves that are under way as crashed, because the process that sent them is gone.

        If it was only cut off, it sees that they are no longer its own, and stops.
        """
        under_way = [run.id for run in self.children if not (run.state and run.state.is_final())]
        for flow_run_id in under_way:
            await until_taken(partial(_crash, flow_run_id))

    async def before(self) -> Half | None:
        """Return the first half, if it was measured to its end."""
        for run in reversed(self.children):
            if compared_with(run) == NOTHING and run.state and run.state.is_completed():
                return Half(run, list((await recorded(run)).values()), self._longest_wait)
        return None

    @property
    def _longest_wait(self) -> timedelta:
        return timedelta(minutes=self.options.results_deadline_minutes, seconds=LAST_LOOK)

    def after(self, before: Half) -> FlowRun | None:
        """Return the latest run of the second half, if it has begun."""
        runs = [run for run in self.children if compared_with(run) == str(before.run.id)]
        return runs[-1] if runs else None

    async def measure_before(self) -> None:
        """Measure the first half, which passes whatever is measured.

        Raises:
            RunStopped: Somebody cancelled it, or this run.
        """
        await self._measure(_BEFORE, "before", compare_with=NOTHING, fail_on=[])

    async def measure_after(self, before: Half) -> list[Record]:
        """Measure the second half against the first; returns one record per test.

        Raises:
            RunStopped: Somebody cancelled it, or this run.
        """
        try:
            return await self._measure(_AFTER, "after", compare_with=str(before.run.id))
        except RerunFailed as failed:
            return failed.outcomes

    async def _measure(self, half: _Rerun, name: str, **own: object) -> list[Record]:
        # Not as a text: that would be a template, and a person may name a run as they like.
        named = half.with_options(flow_run_name=lambda: f"{self.parent.name}-{name}")
        options = self.options.of_half(**own)
        try:
            return await named(self.test_ids, self.groups, self.credentials, options)
        except CancelledRun:
            own_run = OwnRun(self.parent)
            await own_run.confirm_or_abort()
            cancelled = f"the run {self.parent.name}-{name} was cancelled"
            if own_run.cancelled:
                raise RunCancelled(f"{cancelled} with this one.") from None
            raise RunStopped(
                f"{cancelled}. If that was a mistake, retry this run: it continues where it left "
                "off."
            ) from None


@until_answered
async def _runs_under(parents: list[UUID]) -> list[FlowRun]:
    async with get_client() as client:
        return await client.read_flow_runs(
            flow_run_filter=FlowRunFilter(
                parent_flow_run_id=FlowRunFilterParentFlowRunId(any_=parents)
            ),
            sort=FlowRunSort.START_TIME_ASC,
        )


async def _crash(flow_run_id: UUID) -> None:
    async with get_client() as client:
        await client.set_flow_run_state(flow_run_id, Crashed(message="Its process is gone."))


def compared_with(half: FlowRun) -> str | None:
    """Return what a half was asked to be compared with: nothing, or the run of the first half."""
    options = half.parameters.get("options")
    return options.get("compare_with") if isinstance(options, dict) else None
