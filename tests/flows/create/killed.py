"""Executes flow runs that are killed at one step after the other, and then executed again.

`python -m tests.flows.create.killed`, with a simulator in `TE_BASE_URL`. Each run is a child of
this process, which has imported everything already: a fork takes no time. The steps are those
between which a creation can be cut; `STEPS` names each by what comes next. Prints, for each step,
how the first execution ended and the flow run's ID.
"""

import asyncio
import json
import os
import signal
import sys
from collections.abc import Awaitable, Callable, Coroutine
from functools import partial
from typing import Any
from uuid import UUID

from prefect import get_client
from prefect.flow_engine import run_flow
from prefect.states import Scheduled

import flows.create.run
import flows.runs.ending
from flows.create import create_endpoint_tests
from tasks.known_tests import KnownTests
from tests.flows.create.scene import save_group, voice
from thousandeyes.client import ThousandEyesClient

STEPS = {
    "intention": (KnownTests, "creating"),
    "call": (ThousandEyesClient, "_send"),
    "id": (KnownTests, "created"),
    "artifact": (flows.create.run, "record_outcome"),
    "next": (KnownTests, "read"),
    "summary": (flows.runs.ending, "publish"),
}


def names(step: str) -> list[str]:
    return [f"{step} 1", f"{step} 2"]


def kill_before(step: str) -> None:
    """Let this process die where the step would begin; the list of tests is read before."""
    holder, name = STEPS[step]
    original: Callable[..., Awaitable[Any]] = getattr(holder, name)
    calls = 0

    async def replacement(*arguments: Any, **named: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == {"next": 2, "call": 2}.get(step, 1):
            os.kill(os.getpid(), signal.SIGKILL)
        return await original(*arguments, **named)

    setattr(holder, name, replacement)


async def begin(step: str, pipe: int) -> None:
    await save_group(step)
    async with get_client() as client:
        tests = [voice(name).model_dump(mode="json") for name in names(step)]
        flow_run = await client.create_flow_run(
            create_endpoint_tests,
            parameters={"group": step, "tests": tests, "options": {"fail_on": []}},
        )
    os.write(pipe, flow_run.id.bytes)
    kill_before(step)
    await execute(flow_run.id)


async def execute(flow_run_id: UUID) -> None:
    async with get_client() as client:
        await client.set_flow_run_state(flow_run_id, Scheduled(), force=True)
        flow_run = await client.read_flow_run(flow_run_id)
    await run_flow(create_endpoint_tests, flow_run=flow_run)  # type: ignore[misc]


def in_a_child(main: Callable[[], Coroutine[Any, Any, None]]) -> int:
    """Return how the child ended: its exit status, or the negative of a signal."""
    if child := os.fork():
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    status = 1
    try:
        asyncio.run(main())
        status = 0
    finally:
        os._exit(status)


def main() -> None:
    told = {}
    for step in STEPS:
        out, pipe = os.pipe()
        first = in_a_child(partial(begin, step, pipe))
        flow_run_id = UUID(bytes=os.read(out, 16))
        told[step] = [str(flow_run_id), first, in_a_child(partial(execute, flow_run_id))]
    sys.stdout.write(json.dumps(told))


if __name__ == "__main__":
    main()
