"""The earlier run that a new one refers to: which it is, and what is known of its tests."""

from collections.abc import Sequence
from typing import Final
from uuid import UUID

from prefect import get_client, get_run_logger
from prefect.client.schemas.filters import (
    FlowRunFilter,
    FlowRunFilterDeploymentId,
    FlowRunFilterStartTime,
)
from prefect.client.schemas.objects import FlowRun
from prefect.client.schemas.sorting import FlowRunSort
from prefect.exceptions import ObjectNotFound
from prefect.types import DateTime

from flows.rerun.parameters import FLOW, Parameters
from flows.rerun.selection import is_done_with
from flows.runs.history import died_unseen, recorded
from tasks.deployment import find_deployment
from tasks.loading import refuse_known_tokens
from tasks.server_calls import until_answered
from thousandeyes.errors import SettingsError
from thousandeyes.outcomes import UNHEARD
from thousandeyes.record import Record
from thousandeyes.text import quoted

_PAGE: Final = 50


class SentNothing(SettingsError):
    """The run that an option names failed before it sent anything."""


async def heard(flow_run: FlowRun, asked: Parameters) -> dict[str, Record]:
    """Return what is known of tests since a run, by test ID.

    That is what it recorded. If the run itself narrows down another one, doubts of that one stay
    until the API answered this one.

    Args:
        flow_run: The run.
        asked: Its parameters.
    """
    known = await recorded(flow_run)
    if reference := asked.options.only_failed_of:
        earlier = await heard(*await find_run(reference, flow_run.start_time))
        for test_id, record in earlier.items():
            later = known.get(test_id)
            if record.in_doubt and (later is None or later.outcome in UNHEARD):
                known[test_id] = record
    return known


async def left_out(flow_run: FlowRun, asked: Parameters, test_ids: Sequence[str]) -> set[str]:
    """Return which of these tests a run left out because they had ended well before, by ID.

    If the run that it narrows down was itself narrowed down, and so on, the latest record of a test
    counts, by the options of the run that recorded it.

    Args:
        flow_run: The run.
        asked: Its parameters.
        test_ids: The tests; no more of the runs before are read than these make necessary.
    """
    if not asked.options.only_failed_of:
        return set()
    run, done, known = flow_run, set[str](), {*await recorded(flow_run)}
    while (reference := asked.options.only_failed_of) and not known.issuperset(test_ids):
        try:
            run, asked = await find_run(reference, run.start_time)
        except SettingsError:  # such as for a run that was deleted meanwhile
            words = "The run that %r narrowed down can't be read, so what it left out may run again"
            get_run_logger().warning(words, run.name)
            break
        outcomes = await recorded(run)
        done |= {
            test_id
            for test_id in outcomes.keys() - known
            if is_done_with(outcomes[test_id], asked.options)
        }
        known |= outcomes.keys()
    return done


async def naming_tests(asked: Parameters, before: DateTime | None) -> Parameters:
    """Return what names a run's tests: its own parameters, or those of the run it narrows down.

    Args:
        asked: What the run was given; its own credentials count.
        before: When it began.

    Raises:
        SettingsError: The run that it narrows down is gone.
    """
    while (reference := asked.options.only_failed_of) and not asked.name_tests:
        run, then = await find_run(reference, before)
        asked = then.model_copy(update={"credentials": asked.credentials or then.credentials})
        before = run.start_time
    return asked


async def find_run(
    reference: str, before: DateTime | None, option: str = "only_failed_of"
) -> tuple[FlowRun, Parameters]:
    """Return the run that a reference means, and what it was asked for.

    Args:
        reference: The ID of a flow run, or a deployment as `<flow>/<deployment>`: its latest run
            that sent something, or was about to. Runs that failed before that are passed over.
        before: Only runs of the deployment that began before this count.
        option: The option that names the run, for error messages.

    Raises:
        SettingsError: There is no such run, it sent nothing, or it has not ended; says what to do.
    """
    reference = reference.strip()
    refuse_known_tokens([reference], f"runs that {option} names")
    try:
        flow_run_id = UUID(reference)
    except ValueError:
        run, asked = await _latest(reference, before, option)
    else:
        run, asked = await _named(flow_run_id, option)
    if not (run.state and run.state.is_final()):
        raise SettingsError(
            f"{option}: {run.name!r} has not ended, and may still send its tests: wait for "
            "its end, or cancel it. Nothing was sent."
        )
    return run, asked


async def find_reruns(deployment: str, option: str) -> UUID:
    """Return the ID of a deployment to whose runs a run may refer.

    Args:
        deployment: `<flow>/<deployment>`.
        option: The option that names it, for error messages.

    Raises:
        SettingsError: There is none of that name, or it is one of another flow.
    """
    if not (found := await find_deployment(deployment)):
        raise SettingsError(
            f"{option}: {quoted([deployment])} is neither the ID of a flow run nor a deployment "
            "of this Prefect server, such as rerun-endpoint-tests/scheduled. Nothing was sent."
        )
    if (flow := deployment.partition("/")[0]) != FLOW:
        raise SettingsError(
            f"{option}: {quoted([deployment])} is a deployment of {flow}, and not of {FLOW}. "
            "Nothing was sent."
        )
    return found.id


async def _named(flow_run_id: UUID, option: str) -> tuple[FlowRun, Parameters]:
    try:
        run = await read_run(flow_run_id)
        flow = await flow_of(run)
    except ObjectNotFound:
        raise SettingsError(
            f"{option}: this Prefect server has no flow run {flow_run_id}. Nothing was sent."
        ) from None
    asked = Parameters.of(run, flow, option)
    if asked.options.dry_run:
        raise SettingsError(
            f"{option}: {run.name!r} was a dry run, which says nothing about any test: name one "
            "that sent tests. Nothing was sent."
        )
    if await _was_refused(run):
        raise SentNothing(
            f"{option}: {run.name!r} failed before it sent anything, so it says nothing about any "
            "test: name an earlier run. Nothing was sent."
        )
    return run, asked


async def _latest(
    deployment: str, before: DateTime | None, option: str
) -> tuple[FlowRun, Parameters]:
    found, offset = await find_reruns(deployment, option), 0
    while page := await _began_before(found, before, offset):
        for run in page:
            if run.start_time == before:
                continue
            try:
                asked = Parameters.of(run, FLOW, option)
            except SettingsError:
                if not await _was_refused(run):
                    raise
                continue
            if not (asked.options.dry_run or await _was_refused(run)):
                return run, asked
        offset += len(page)
    raise SettingsError(
        f"{option}: {deployment} has no run yet that sent anything. Nothing was sent."
    )


async def _was_refused(run: FlowRun) -> bool:
    """Tell whether a run is known to have failed before it sent anything, such as for a mistake.

    A run that was stopped or crashed first does not count: its tests had no turn.
    """
    failed = run.state and run.state.is_failed()
    return bool(failed and not await recorded(run) and not await died_unseen(run, under_way=False))


@until_answered
async def read_run(flow_run_id: UUID) -> FlowRun:
    """Return a flow run.

    Raises:
        ObjectNotFound: It is gone.
    """
    async with get_client() as client:
        return await client.read_flow_run(flow_run_id)


@until_answered
async def flow_of(run: FlowRun) -> str:
    """Return the name of a run's flow."""
    async with get_client() as client:
        return (await client.read_flow(run.flow_id)).name


@until_answered
async def _began_before(deployment: UUID, before: DateTime | None, offset: int) -> list[FlowRun]:
    """Return a page of a deployment's runs, the latest first."""
    filters = FlowRunFilter(
        deployment_id=FlowRunFilterDeploymentId(any_=[deployment]),
        # Runs that a limit or a person cancelled before they began say nothing.
        start_time=FlowRunFilterStartTime(before_=before, is_null_=False),
    )
    async with get_client() as client:
        return await client.read_flow_runs(
            flow_run_filter=filters,
            sort=FlowRunSort.START_TIME_DESC,
            limit=_PAGE,
            offset=offset,
        )
