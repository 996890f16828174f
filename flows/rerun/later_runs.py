"""Which rounds of a run's tests belong to other runs: what these noted before their own calls."""

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

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
from tasks.server_calls import until_answered
from thousandeyes.record import Record

_LONGEST_RUN: Final = timedelta(days=1)
"""Runs that began so long before this one are over; others may have sent a test after it."""
_LONGEST_INTERVAL: Final = timedelta(hours=1)
_PAGE: Final = 200

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
    owns = [own for record in records if (own := baseline.own_rounds(record))]
    starts = [flow_run.start_time, *(record.started_at for record in records)]
    if not owns or not (known := [start for start in starts if start]):
        return {}
    last = datetime.fromtimestamp(max(own.until for own in owns), UTC) + _LONGEST_INTERVAL
    own_ids, wanted = await runs_of(flow_run), {record.test_id for record in records}
    rounds: dict[str, list[int]] = {}
    for other in await _runs(min(known), last):
        if other.id in own_ids:
            continue
        for record in await read_outcomes([other.id]):
            after = baseline.rounds_after(record) if record.attempts else None
            if record.test_id in wanted and after is not None:
                rounds.setdefault(record.test_id, []).append(after)
    return rounds


@until_answered
async def _runs(began: datetime, last: datetime) -> list[FlowRun]:
    """Return the runs that were under way between two moments."""
    found: list[FlowRun] = []
    async with get_client() as client:
        while True:
            page = await client.read_flow_runs(
                flow_filter=FlowFilter(name=FlowFilterName(any_=[FLOW])),
                flow_run_filter=FlowRunFilter(
                    start_time=FlowRunFilterStartTime(after_=began - _LONGEST_RUN, before_=last)
                ),
                limit=_PAGE,
                offset=len(found),
            )
            found += page
            if len(page) < _PAGE:
                return [run for run in found if not run.end_time or run.end_time > began]
