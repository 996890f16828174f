"""Runs that have ended, left on the Prefect server as real ones leave them, but never executed.

What they record is written by the project's own functions; `test_sources` holds them against a run.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from uuid import UUID

from prefect import get_client
from prefect.client.schemas.objects import State
from prefect.context import AsyncClientContext
from prefect.logging import disable_run_logger
from prefect.states import Completed, Crashed, Failed, Running

from flows.rerun import RerunOptions, rerun_endpoint_tests
from flows.rerun.comparison import Comparison
from flows.rerun.parameters import Parameters
from flows.rerun.selection import Selection
from flows.rerun.sources import read_selection
from flows.runs.recording import Artifacts
from flows.runs.sentence import passed_and_why
from thousandeyes.outcomes import Outcome
from thousandeyes.record import Record


async def ended_run(
    outcomes: Mapping[str, Outcome], test_ids: Sequence[str] = (), **options: Any
) -> UUID:
    """Leave a run in which tests ended so.

    Args:
        outcomes: The outcome of each test that had a turn.
        test_ids: The tests that the run was given, if not those.
        options: Options of the run.
    """
    records = [Record(test_id, outcome=outcome) for test_id, outcome in outcomes.items()]
    return await run_that_recorded(records, test_ids or list(outcomes), **options)


async def run_that_recorded(
    records: Iterable[Record], test_ids: Sequence[str], **options: Any
) -> UUID:
    """Leave a run that recorded this, and was compared with none."""
    known = list(records)
    passed, sentence = passed_and_why(known, RerunOptions.model_validate(options).fail_on)
    end: State[None] = Completed(message=sentence) if passed else Failed(message=sentence)
    parameters = {"test_ids": list(test_ids), "options": options}
    # One client for all calls: to make one costs more than a call.
    async with AsyncClientContext.get_or_create(), get_client() as client:
        flow_run = await client.create_flow_run(
            rerun_endpoint_tests, parameters=parameters, state=Running()
        )
        artifacts = Artifacts(Comparison().note, ended_run=flow_run.id)
        for record in known:
            await artifacts.write(record)
        await client.set_flow_run_state(flow_run.id, end, force=True)
    return flow_run.id


async def crashed_run(**options: Any) -> UUID:
    """Return a run that recorded nothing."""
    async with get_client() as client:
        flow_run = await client.create_flow_run(
            rerun_endpoint_tests, parameters={"options": options}, state=Crashed()
        )
    return flow_run.id


async def selected(test_ids: Sequence[str] = (), **options: Any) -> Selection:
    """Return what a run would be about, as the flow finds out before it sends anything."""
    asked = Parameters.read(test_ids=list(test_ids), options=RerunOptions.model_validate(options))
    async with AsyncClientContext.get_or_create():
        with disable_run_logger():
            return await read_selection(asked, None)


async def would_send(test_ids: Sequence[str] = (), **options: Any) -> set[str]:
    """Return the tests that a run would send: all it is about but those it only settles."""
    delivery = RerunOptions.model_validate(options).delivery
    records = (await selected(test_ids, **options)).take_up({}, delivery)
    return {record.test_id for record in records if record.needs_call(delivery)}
