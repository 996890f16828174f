"""Runs whose process is gone, found where all workers of a server are on this machine.

A process that ends by a kill or a power cut can't tell Prefect: its run stays as it was, and keeps
its place under the deployment's concurrency limit, so that each later run is cancelled.
"""

import re
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Final, NamedTuple
from uuid import UUID

from prefect.client.orchestration import PrefectClient
from prefect.client.schemas import OrchestrationResult
from prefect.client.schemas.filters import (
    FlowRunFilter,
    WorkPoolFilter,
    WorkPoolFilterName,
)
from prefect.client.schemas.objects import FlowRun, State
from prefect.client.schemas.responses import SetStateStatus
from prefect.states import Cancelled, Crashed

from deployments.steps import BootstrapError, Found, Step
from tasks.pages import all_of
from tasks.under_way import UNDER_WAY

_PROCESSES: Final = Path("/proc")
_VARIABLE: Final = b"PREFECT__FLOW_RUN_ID="  # Prefect's process worker sets it for each run
_EXECUTES_A_RUN: Final = re.compile(rb"prefect\W(flow_)?(engine|runner)")
_TAKES_RUNS: Final = re.compile(rb"prefect\W+worker")
_TIME_TO_BEGIN: Final = timedelta(minutes=1)


class Processes(NamedTuple):
    """What the processes of this machine execute."""

    runs: frozenset[UUID] = frozenset()
    of_others: tuple[int, ...] = ()
    """Processes that may execute a run; only their user may see which."""
    take_runs: bool = False
    """Whether any of them may be a worker."""


def runs_with_a_process(processes: Path = _PROCESSES) -> Processes:
    """Return the flow runs that processes of this machine execute, as Linux shows them.

    Raises:
        BootstrapError: This system doesn't show it.
    """
    if not (processes / "self" / "environ").exists():
        raise BootstrapError("only on Linux can it be found out which runs have a process")
    found, of_others, take_runs = set(), [], False
    for directory in processes.glob("[0-9]*"):
        with suppress(OSError):  # it has ended
            command, environment = _read(directory / "cmdline"), _read(directory / "environ")
            take_runs |= command is None or bool(_TAKES_RUNS.search(command))
            if environment is None and (command is None or _EXECUTES_A_RUN.search(command)):
                of_others.append(int(directory.name))
            for value in (environment or b"").split(b"\0"):
                if value.startswith(_VARIABLE):
                    with suppress(ValueError):  # anybody may set a variable to anything
                        found.add(UUID(value.removeprefix(_VARIABLE).decode()))
    return Processes(frozenset(found), tuple(sorted(of_others)), take_runs)


def _read(file: Path) -> bytes | None:
    """Return what a file of a process holds; None where only the process's user may see it."""
    try:
        return file.read_bytes()
    except PermissionError:
        return None


async def crash_dead_runs(
    client: PrefectClient,
    pools: Iterable[str],
    look: Callable[[], Processes] = runs_with_a_process,
    *,
    dry_run: bool,
) -> AsyncIterator[Step]:
    """Mark runs of these work pools that have no process as crashed, and report each.

    This frees their places under a concurrency limit, and a retry continues where they left off. A
    run that was being cancelled is cancelled. A process that is alive after all stops before its
    next call, because the run is no longer its own. A run that may have a process is left.
    """
    runs = [
        run
        for pool in pools
        for run in await all_of(
            partial(
                client.read_flow_runs,
                flow_run_filter=FlowRunFilter(state=UNDER_WAY),
                work_pool_filter=WorkPoolFilter(name=WorkPoolFilterName(any_=[pool])),
            )
        )
    ]
    # Read after the runs, so that it includes a process that began in between.
    living = look()
    for run in runs:
        if run.id in living.runs:
            continue
        what = f"flow run {run.name} {run.id}"
        if why := _why_not(run, living):
            yield Step(Found.KEPT, what, why)
            continue
        state = _ended(run)
        if not dry_run:
            answer: OrchestrationResult[None] = await client.set_flow_run_state(run.id, state)
            if answer.status is not SetStateStatus.ACCEPT:
                yield Step(Found.KEPT, what, f"Prefect leaves it as it is: {_reason(answer)}")
                continue
        was = run.state.name if run.state else "without a state"
        yield Step(Found.DIFFERENT, what, f"was {was} without a process: {str(state.name).lower()}")


def _ended(run: FlowRun) -> State[None]:
    """Return the final state of a run without a process; if Cancelling, it must be Cancelled."""
    was = run.state.name if run.state else "without a state"
    end = Cancelled if run.state and run.state.is_cancelling() else Crashed
    ended: State[None] = end(message=f"Was {was}, and no process executes it any more.")
    return ended


def _reason(answer: OrchestrationResult[None]) -> str:
    return getattr(answer.details, "reason", None) or "it does not say why"


def _why_not(run: FlowRun, living: Processes) -> str:
    """Return why a run may have a process although none was seen; empty if it has none."""
    # Prefect notes the process that a worker started for it: `<ID>`, once `<machine>:<ID>`.
    noted = (run.infrastructure_pid or "").rpartition(":")[2]
    if may := [number for number in living.of_others if noted in ("", str(number))]:
        process = f"process {may[0]} of another user"
        return f"{process} may execute it: run this as the workers' user"
    state = run.state
    just_now = state and datetime.now(UTC) - state.timestamp < _TIME_TO_BEGIN
    if state and state.is_pending() and just_now and living.take_runs:
        return "a worker has just taken it"
    return ""
