"""Which rounds of a run's tests belong to other runs: what these noted before their own calls."""

from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Final
from uuid import UUID

from prefect import get_client
from prefect.client.schemas.filters import (
    FlowFilter,
    FlowFilterName,
    FlowRunFilter,
    FlowRunFilterStartTime,
)
from prefect.client.schemas.objects import FlowRun

from flows.rerun.baseline import Baseline
from flows.rerun.parameters import FLOW
from flows.runs.history import runs_of
from tasks.artifacts import read_outcomes
from tasks.pages import all_of
from tasks.server_calls import until_answered
from thousandeyes.own_rounds import OwnRounds
from thousandeyes.record import Record

_LONGEST_RUN: Final = timedelta(days=1)
"""Runs that began so long before this one are over; others may have sent a test after it."""
_LONGEST_INTERVAL: Final = timedelta(hours=1)

Others = Mapping[str, Collection[int]]
"""The rounds after which those of other runs begin, by test ID."""
OthersOf = Callable[[Sequence[Record], Baseline], Awaitable[Others]]
"""Finds them out for tests: `rounds_of_others` of a run is one."""


async def rounds_of_others(
    flow_run: FlowRun, records: Sequence[Record], baseline: Baseline
) -> Others:
    """Return the rounds after which those of other runs begin, by test ID.

    Args:
        flow_run: The run whose results are read.
        records: Its tests that matter, which an earlier run may have sent.
        baseline: What is known of them.
    """
    others: set[UUID] = set()
    for began, last in windows(flow_run, records, baseline.own_rounds):
        others |= {run.id for run in await _runs(began, last)}
    if not others:
        return {}
    own_ids, wanted = await runs_of(flow_run), {record.test_id for record in records}
    rounds: dict[str, list[int]] = {}
    for other_id in others.difference(own_ids):
        for record in await read_outcomes([other_id]):
            if record.test_id not in wanted or not record.attempts:
                continue
            after = baseline.rounds_after(record, doubts_too=True)  # these may have run too
            if after is not None:
                rounds.setdefault(record.test_id, []).append(after)
    return rounds


def windows(
    flow_run: FlowRun,
    records: Iterable[Record],
    own_rounds: Callable[[Record], OwnRounds | None],
) -> list[tuple[datetime, datetime]]:
    """Return from when to when others may have sent these tests so that it matters.

    Each test has a window of its own, since it may have been sent in a run of weeks ago; those that
    overlap are one.

    Args:
        flow_run: The run whose results are read.
        records: Its tests.
        own_rounds: Returns which rounds are a test's own; None if unknown.
    """
    found: list[tuple[datetime, datetime]] = []
    for record in records:
        starts = [start for start in (flow_run.start_time, record.started_at) if start]
        if starts and (own := own_rounds(record)):
            last = datetime.fromtimestamp(own.until, UTC) + _LONGEST_INTERVAL
            found.append((min(starts), last))
    merged: list[tuple[datetime, datetime]] = []
    for began, last in sorted(found):
        if merged and began <= merged[-1][1]:
            merged[-1] = merged[-1][0], max(last, merged[-1][1])
        else:
            merged.append((began, last))
    return merged


@until_answered
async def _runs(began: datetime, last: datetime) -> list[FlowRun]:
    """Return the runs that were under way between two moments."""
    started = FlowRunFilterStartTime(after_=began - _LONGEST_RUN, before_=last)
    async with get_client() as client:
        read = partial(
            client.read_flow_runs,
            flow_filter=FlowFilter(name=FlowFilterName(any_=[FLOW])),
            flow_run_filter=FlowRunFilter(start_time=started),
        )
        found = await all_of(read)
    return [run for run in found if not run.end_time or run.end_time > began]
