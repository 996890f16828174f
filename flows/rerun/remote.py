"""For flows of other projects: run the deployment somewhere, and get what the flow would return."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from http import HTTPStatus
from typing import Any, Final
from uuid import UUID, uuid4

import httpx
from prefect import get_client
from prefect.client.orchestration import PrefectClient
from prefect.client.schemas.objects import FlowRun, State
from prefect.context import FlowRunContext
from prefect.deployments import arun_deployment
from prefect.exceptions import ObjectNotFound, PrefectHTTPStatusError
from prefect.states import AwaitingRetry

from flows.rerun.flow import RerunFailed
from flows.rerun.options import RerunOptions
from flows.rerun.parameters import FLOW
from flows.rerun.unfinished import RerunUnfinished, started_with_other, why_unfinished
from tasks.artifacts import read_outcomes
from tasks.blocks import read_names
from tasks.deployment import is_deployment_name
from tasks.server_calls import once, until_taken
from thousandeyes.errors import InvalidTestIds
from thousandeyes.lists import read_test_ids
from thousandeyes.record import Record
from thousandeyes.text import cut, isolated, quoted

__all__ = ["ON_DEMAND", "Outcomes", "RerunUnfinished", "rerun_by_deployment"]

ON_DEMAND: Final = f"{FLOW}/on-demand"

_REFUSED: Final = (HTTPStatus.CONFLICT, HTTPStatus.UNPROCESSABLE_ENTITY)
"""What the server answers to parameters that don't fit the deployment's schema, or are too long."""
_LONGEST_REASON: Final = 300
_TO_READ: Final = 30.0
"""Seconds in which outcomes may still be read when the time to wait is over."""


class Outcomes(list[Record]):
    """What a run that completed recorded: one record per test.

    `sentence` is the run's own on how it ended; that of a dry run says what it found.
    """

    # Prefect, where it replaces items of a collection, builds another from them and nothing else.
    def __init__(self, records: Iterable[Record], sentence: str = "") -> None:
        super().__init__(records)
        self.sentence = sentence


async def rerun_by_deployment(  # noqa: PLR0913 - the flow's parameters, and how to wait
    test_ids: Sequence[str | int] | int = (),
    groups: Sequence[str | int] = (),
    credentials: str | None = None,
    options: RerunOptions | None = None,
    *,
    deployment: str = ON_DEMAND,
    timeout: float | None = None,  # noqa: ASYNC109 - Prefect's own name for it
    poll_interval: float = 5,
    idempotency_key: str | UUID | int | None = None,
    work_queue_name: str | None = None,
) -> Outcomes:
    """Run a deployment of `rerun-endpoint-tests`, wait for its end, and return its outcomes.

    Called in a flow, the run shows as its subflow. It runs on a worker, which has the token; the
    caller needs none, only the Prefect server, which is waited for while it is unreachable.

    Args:
        test_ids: As the flow takes them.
        groups: As the flow takes them.
        credentials: As the flow takes it.
        options: As the flow takes them.
        deployment: `<flow>/<deployment>`.
        timeout: Seconds to wait for the end, also while the Prefect server is down; outcomes are
            read for 30 s more. The run continues after that. None: no limit.
        poll_interval: Seconds between two checks.
        idempotency_key: What a retried caller gives again, to find the run that it started
            before; if that did not complete, it resumes where it left off.
        work_queue_name: A work queue of the deployment's pool. None: the deployment's own.

    Returns:
        One record per test, read from the run's artifacts, and the run's sentence. The tests of a
        dry run are `skipped`.

    Raises:
        InvalidTestIds: Something among the test IDs is not an ID, or neither the call nor the
            deployment names tests; nothing was sent.
        NoAccess: The Prefect server does not let the caller in (401, 403).
        RerunFailed: A test ended in one of `options.fail_on`, or nothing could be sent.
        RerunUnfinished: The deployment is missing, of another flow, or refuses these
            parameters; or the key started a run with others; or the run crashed, was cancelled or
            deleted, or takes longer; or the server was unreachable until `timeout`.
        SettingsError: The groups are not a list of names; nothing was sent.
    """
    if not (is_deployment_name(deployment) and deployment.startswith(f"{FLOW}/")):
        raise RerunUnfinished(
            f"{quoted([deployment])} is not a deployment of {FLOW}, such as {ON_DEMAND}. "
            "Nothing was sent."
        )
    given: dict[str, Any] = {
        "test_ids": read_test_ids(test_ids),
        "groups": read_names(groups, "groups"),
        "credentials": credentials,
        "options": options.model_dump(mode="json", exclude_unset=True) if options else None,
    }
    # What isn't given is the deployment's to say.
    asked = {name: value for name, value in given.items() if value}
    key = "" if idempotency_key is None else str(idempotency_key)
    end = None if timeout is None else asyncio.get_running_loop().time() + timeout

    async def pause(seconds: float) -> None:  # a call that starts a run is not cut off, the wait is
        async with asyncio.timeout_at(end):
            await asyncio.sleep(seconds)

    with _told_in_words(deployment, timeout, named=bool(given["test_ids"] or given["groups"])):
        async with get_client() as client:
            look_up = partial(client.read_deployment_by_name, deployment)
            start = partial(
                arun_deployment,
                deployment,
                client=client,
                parameters=asked,
                timeout=0,
                idempotency_key=key or str(uuid4()),
                work_queue_name=work_queue_name,
            )
            # Before a run is known to have begun, a server that isn't there may be a wrong address.
            wait = key or FlowRunContext.get()
            await (until_taken(look_up, pause) if wait else once(look_up))
            begin = partial(_start_unless_completed, client, start, asked) if key else start
            flow_run = await until_taken(begin, pause)
            flow_run = await _watch(client, flow_run, end, poll_interval)
    return _conclude(flow_run, await _outcomes(flow_run, end), timeout)


def _conclude(
    flow_run: FlowRun, outcomes: Sequence[Record] | None, timeout: float | None
) -> Outcomes:
    """Return what the run recorded, or raise how it ended or why its end is not known."""
    state: State[Any] | None = flow_run.state
    if outcomes is None:
        raise RerunUnfinished(why_unfinished(flow_run, timeout, None), flow_run)
    if state and state.is_completed():
        return Outcomes(outcomes, state.message or "The run completed and says no more.")
    if state and state.is_failed():
        raise RerunFailed(state.message or "The run failed and says no more.", outcomes)
    raise RerunUnfinished(why_unfinished(flow_run, timeout, len(outcomes)), flow_run, outcomes)


@contextmanager
def _told_in_words(deployment: str, timeout: float | None, *, named: bool) -> Iterator[None]:
    """Tell in words why the Prefect server did not start a run; `named`: the call names tests."""
    try:
        yield
    except TimeoutError:
        raise RerunUnfinished(
            f"The Prefect server was unreachable for all of the {timeout:g} s: it is not known "
            f"whether this call started a run of {deployment!r}. Check that before you start "
            "another, or give the same `idempotency_key` again."
        ) from None
    except ObjectNotFound:
        raise RerunUnfinished(
            f"There is no deployment {deployment!r} on this Prefect server: make it with "
            "`python -m deployments.bootstrap`, or check PREFECT_API_URL. Nothing was sent."
        ) from None
    except PrefectHTTPStatusError as error:
        if error.response.status_code not in _REFUSED:
            raise
        raise _refusal(deployment, _reason(error.response), named=named) from error


def _refusal(deployment: str, reason: str, *, named: bool) -> Exception:
    """Return what to raise when the server refuses the parameters."""
    # Only now: a deployment may name tests itself, also one that came without.
    if not named and "test_ids" in reason:
        return InvalidTestIds(
            "no tests given: name test IDs, groups of tests, or both. Nothing was sent."
        )
    return RerunUnfinished(
        f"The Prefect server refuses the parameters for {deployment!r}: {reason}. If the "
        "deployment is of another version, `python -m deployments.bootstrap` brings it up to date. "
        "Nothing was sent."
    )


def _reason(response: httpx.Response) -> str:
    """Return why the server refuses parameters, in its own words, as one line of bounded length."""
    with suppress(ValueError):
        match response.json():
            case {"detail": str(reason)} | {"exception_detail": [{"msg": str(reason)}, *_]}:
                return cut(reason, _LONGEST_REASON).rstrip(".")
    return "it does not say why"


async def _start_unless_completed(
    client: PrefectClient, start: Callable[..., Awaitable[FlowRun]], asked: dict[str, Any]
) -> FlowRun:
    """Start the run, or start it again where an earlier attempt of the caller saw it end badly."""
    flow_run = await start()
    if why := started_with_other(asked, flow_run):
        raise RerunUnfinished(why, flow_run)
    state = flow_run.state
    if state and state.is_final() and not state.is_completed():
        again: State[Any] = AwaitingRetry(message="Started again by a caller that was retried.")
        flow_run.state = (await client.set_flow_run_state(flow_run.id, again)).state
    return flow_run


async def _watch(
    client: PrefectClient, flow_run: FlowRun, end: float | None, poll_interval: float
) -> FlowRun:
    """Return the run when it is over, or at the end of the wait as it was seen last."""
    try:
        with suppress(TimeoutError):
            async with asyncio.timeout_at(end):
                while not (flow_run.state and flow_run.state.is_final()):
                    await asyncio.sleep(poll_interval)
                    flow_run = await until_taken(partial(client.read_flow_run, flow_run.id))
    except ObjectNotFound:
        raise RerunUnfinished(
            f"The run {isolated(repr(flow_run.name))} ({flow_run.id}) was deleted in Prefect while "
            "it was waited for. What it had recorded until then is in the artifacts of its tests."
        ) from None
    return flow_run


async def _outcomes(flow_run: FlowRun, end: float | None) -> list[Record] | None:
    """Return what the run has recorded; None if the Prefect server is unreachable until the end."""
    soonest = asyncio.get_running_loop().time() + _TO_READ
    try:
        async with asyncio.timeout_at(None if end is None else max(end, soonest)):
            return await read_outcomes([flow_run.id], dry_runs_too=True)
    except TimeoutError:
        return None
