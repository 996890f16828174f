"""A run of a deployment that waits for a change: no process stays, and the first half is kept."""

import os
import signal
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from prefect import get_client
from prefect.client.schemas.objects import FlowRun
from prefect.exceptions import FlowPauseTimeout
from prefect.flow_runs import aresume_flow_run
from prefect.states import AwaitingRetry, Crashed

from flows.around_change import rerun_around_change
from tests.flows.scene import (
    WHERE_IT_IS,
    Simulate,
    artifacts_of,
    ids,
    process,
    sent,
    wait_until,
)
from thousandeyes.simulator import Behaviour

pytestmark = [pytest.mark.servers, pytest.mark.usefixtures("prefect_server")]

# Looked for after ten seconds; so that they are there by then.
RESULTS: dict[str, Any] = {"results_after_seconds": 0.1, "healthy": True, "agents": 3}
BAD = [Behaviour(loss=100)]
ALL_PASSED = "Measured before the change: 3 of 3 tests passed. "
ONE_BROKE = "1 of 3 tests broke with the change: Intranet (Gdansk); 2 are unchanged."


async def deployed_run(**parameters: Any) -> UUID:
    async with get_client() as client:
        flow_id = await client.create_flow(rerun_around_change)
        deployment = await client.create_deployment(
            flow_id,
            name="interrupted",
            entrypoint="flows.around_change.rerun_around_change",
            pull_steps=WHERE_IT_IS,
        )
        flow_run = await client.create_flow_run_from_deployment(
            deployment, parameters={"test_ids": ids(3)} | parameters
        )
    return flow_run.id


async def execute(flow_run_id: UUID, until: Callable[[], bool] | None = None) -> FlowRun:
    """Execute a run as a worker does; kill its process when a condition holds, if one is given."""
    async with process("-m", "prefect.engine", str(flow_run_id)) as executed:
        if until:
            await wait_until(until)
            os.killpg(executed.pid, signal.SIGKILL)
            await executed.wait()
        else:
            output, _ = await executed.communicate()
            print(output.decode())  # noqa: T201 - for the message of a test that fails
    return await read(flow_run_id)


async def read(flow_run_id: UUID) -> FlowRun:
    async with get_client() as client:
        return await client.read_flow_run(flow_run_id)


async def told(flow_run_id: UUID) -> tuple[str | None, str | None]:
    state = (await read(flow_run_id)).state
    return (state.name, state.message) if state else (None, None)


async def suspended(flow_run_id: UUID) -> bool:
    name, words = await told(flow_run_id)
    then = f"{ALL_PASSED}Make the change, then resume this run by "
    return name == "Suspended" and str(words).startswith(then)


async def crash(flow_run_id: UUID) -> None:
    """Do to a run whose process is gone what a worker and the automation do."""
    async with get_client() as client:
        await client.set_flow_run_state(flow_run_id, Crashed(), force=True)
        await client.set_flow_run_state(flow_run_id, AwaitingRetry())


async def test_a_suspended_run_has_no_process_and_goes_on_with_the_second_half(
    simulate: Simulate,
) -> None:
    before = simulate(tests=ids(3), **RESULTS)
    flow_run_id = await deployed_run()
    await execute(flow_run_id)
    assert await suspended(flow_run_id)

    after = simulate(tests=ids(3), agents_of={"202702": BAD}, **RESULTS)
    await aresume_flow_run(flow_run_id)
    await execute(flow_run_id)
    assert await told(flow_run_id) == ("Failed", ONE_BROKE)
    assert sent(before) == sent(after) == dict.fromkeys(ids(3), 1)
    assert "endpoint-changes-interrupted" in await artifacts_of(flow_run_id)


async def test_killed_in_the_second_half_it_neither_waits_again_nor_sends_the_first_half_again(
    simulate: Simulate,
) -> None:
    before = simulate(tests=ids(3), **RESULTS)
    flow_run_id = await deployed_run(options={"max_in_flight": 1})
    await execute(flow_run_id)
    await aresume_flow_run(flow_run_id)
    after = simulate(tests=ids(3), agents_of={"202702": BAD}, latency_seconds=0.5, **RESULTS)
    await execute(flow_run_id, until=lambda: len(sent(after)) == 2)
    await crash(flow_run_id)
    await execute(flow_run_id)
    assert await told(flow_run_id) == ("Failed", ONE_BROKE)
    assert sent(before) == dict.fromkeys(ids(3), 1)
    # The one that was under way may have run twice.
    assert sent(after)["202701"] == sent(after)["202703"] == 1


async def test_resumed_and_killed_before_the_second_half_it_does_not_wait_again(
    simulate: Simulate,
) -> None:
    before = simulate(tests=ids(3), **RESULTS)
    flow_run_id = await deployed_run()
    await execute(flow_run_id)
    await aresume_flow_run(flow_run_id)
    await crash(flow_run_id)
    after = simulate(tests=ids(3), agents_of={"202702": BAD}, **RESULTS)
    await execute(flow_run_id)
    assert await told(flow_run_id) == ("Failed", ONE_BROKE)
    assert sent(before) == sent(after) == dict.fromkeys(ids(3), 1)


async def test_killed_in_the_first_half_it_goes_on_with_it_and_then_waits(
    simulate: Simulate,
) -> None:
    simulator = simulate(tests=ids(3), latency_seconds=0.5, **RESULTS)
    flow_run_id = await deployed_run(options={"max_in_flight": 1})
    await execute(flow_run_id, until=lambda: len(sent(simulator)) == 2)
    await crash(flow_run_id)
    await execute(flow_run_id)
    assert await suspended(flow_run_id)
    assert sent(simulator)["202701"] == sent(simulator)["202703"] == 1


async def test_a_run_that_nobody_resumed_waits_once_more_when_it_is_retried(
    simulate: Simulate,
) -> None:
    simulator = simulate(tests=ids(3), **RESULTS)
    flow_run_id = await deployed_run(longest_wait_hours=1 / 3600)
    state = (await execute(flow_run_id)).state
    assert state
    end = state.state_details.pause_timeout
    assert end
    await wait_until(lambda: datetime.now(UTC) > end)
    with pytest.raises(FlowPauseTimeout):
        await aresume_flow_run(flow_run_id)
    async with get_client() as client:
        await client.set_flow_run_state(flow_run_id, AwaitingRetry())
    await execute(flow_run_id)
    assert await suspended(flow_run_id)
    assert sent(simulator) == dict.fromkeys(ids(3), 1)


async def test_a_time_is_waited_for_without_a_process_and_kept_by_the_server(
    simulate: Simulate,
) -> None:
    before = simulate(tests=ids(3), **RESULTS)
    until = datetime.now(UTC) + timedelta(hours=1)
    flow_run_id = await deployed_run(until=until.isoformat())
    waits = await execute(flow_run_id)
    assert await told(flow_run_id) == (
        "Scheduled",
        f"{ALL_PASSED}All tests are measured again at {until:%Y-%m-%d %H:%M} UTC.",
    )
    assert waits.next_scheduled_start_time == until
    page = (await artifacts_of(flow_run_id))["endpoint-changes-interrupted"]
    assert str(page.data).startswith(ALL_PASSED), "it has not ended"
    assert sent(before) == dict.fromkeys(ids(3), 1)
