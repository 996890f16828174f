"""The marks of a deployment's last runs, over many of them and whatever interrupts one."""

import os
import re
import signal
from collections import Counter
from collections.abc import Callable
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from prefect import get_client
from prefect.client.schemas.objects import FlowRun
from prefect.flow_engine import run_flow_async
from prefect.settings import get_current_settings
from prefect.states import Crashed, Scheduled

from flows.rerun import judge_run_again, rerun_endpoint_tests
from flows.rerun.parameters import Parameters
from flows.runs.history import has_reported
from tasks.blocks import EndpointTestGroup
from tests.flows.rerun.test_comparison import histories
from tests.flows.rerun.test_judge_again import Clock
from tests.flows.scene import (
    WHERE_IT_IS,
    Simulate,
    artifacts_of,
    ids,
    process,
    rows,
    sent,
    wait_until,
)
from thousandeyes.simulator import Behaviour, Fault

pytestmark = pytest.mark.usefixtures("prefect_server")

PARAMETERS = tuple(Parameters.model_fields)
LOST = Behaviour(agents=[0, 1, 2], loss=100)


class Deployment:
    """A deployment of a test's own, whose runs this process executes."""

    def __init__(self) -> None:
        self.name = f"d{uuid4().hex}"
        self._id: UUID | None = None
        self._in_group: list[str] = []

    async def create(self, test_ids: list[str], **options: Any) -> FlowRun:
        """Create a run that any process with the project installed can execute.

        The tests stand in a group, as where people put one in and take one out.
        """
        if test_ids != self._in_group:
            await EndpointTestGroup(test_ids=test_ids).save(self.name, overwrite=True)
            self._in_group = test_ids
        parameters = {"groups": [self.name], "options": options}
        async with get_client() as client:
            self._id = self._id or await client.create_deployment(
                await client.create_flow(rerun_endpoint_tests),
                name=self.name,
                entrypoint="flows.rerun.rerun_endpoint_tests",
                pull_steps=WHERE_IT_IS,
            )
            return await client.create_flow_run_from_deployment(self._id, parameters=parameters)

    async def run(self, test_ids: list[str], **options: Any) -> UUID:
        """Run tests and return the flow run's ID."""
        flow_run = await self.create(test_ids, **options)
        await execute(flow_run)
        return flow_run.id

    async def changes(self, flow_run_id: UUID) -> dict[str, str | None]:
        table = (await artifacts_of(flow_run_id))[f"endpoint-rerun-outcomes-{self.name}"]
        return {row["test_id"]: row["change"] for row in rows(table)}

    async def summary(self, flow_run_id: UUID) -> str:
        return str((await artifacts_of(flow_run_id))[f"endpoint-reruns-{self.name}"].data)


async def execute(flow_run: FlowRun) -> None:
    """Execute a run in this process."""
    asked = {name: getattr(Parameters.read(**flow_run.parameters), name) for name in PARAMETERS}
    await run_flow_async(rerun_endpoint_tests, flow_run, asked, return_type="state")


async def scheduled_again(flow_run: FlowRun) -> FlowRun:
    """Schedule a run that has ended, as a retry does, and return it as it is then."""
    async with get_client() as client:
        await client.set_flow_run_state(flow_run.id, Scheduled(), force=True)
        return await client.read_flow_run(flow_run.id)


@pytest.fixture
def deployment() -> Deployment:
    return Deployment()


QUICK = {"results_after_seconds": 0.1, "healthy": True, "agents": 9}


def six_runs() -> list[tuple[list[str], dict[str, list[Behaviour]]]]:
    """Return the tests of each run, and what laptops measure in them.

    The first breaks in run 3 and recovers in 5, the second flaps, the third comes and goes.
    """
    breaks, flaps, comes = ids(3)
    scene = []
    for number in range(1, 7):
        bad = ([breaks] if number in (3, 4) else []) + ([] if number % 2 else [flaps])
        tests = [breaks, flaps, *([comes] if number in (1, 2, 5) else [])]
        scene.append((tests, {test_id: [LOST] for test_id in bad}))
    return scene


async def test_six_runs_have_the_right_words_and_marks_each(
    simulate: Simulate, deployment: Deployment
) -> None:
    told: list[dict[str, str | None]] = []
    marks: dict[str, str] = {}
    for tests, agents_of in six_runs():
        simulate(tests=ids(3), agents_of=agents_of, **QUICK)
        flow_run_id = await deployment.run(tests, wait_for_results=True)
        told.append(await deployment.changes(flow_run_id))
        of_this_run = await histories(flow_run_id)
        assert {len(history) for history in of_this_run.values()} == {len(told)}
        marks |= of_this_run
    breaks, flaps, comes = ids(3)
    assert marks == {breaks: "✓✓✗✗✓✓", flaps: "✓✗✓✗✓✗", comes: "✓✓··✓·"}
    assert [one[breaks] for one in told] == [
        *(None, "unchanged", "new_failure"),
        *("still_failing", "recovered", "unchanged"),
    ]
    assert [one[flaps] for one in told] == [
        *(None, "new_failure", "recovered"),
        *("new_failure", "recovered", "new_failure"),
    ]
    assert [one.get(comes) for one in told] == [None, "unchanged", None, None, "new", None]
    summary = await deployment.summary(flow_run_id)
    assert "1 of 2 tests failed (new): " in summary
    assert "Last 6 runs, the newest at the right: ✓✗✓✗✓✗" in summary
    assert "![Heat map of 2 tests over 6 runs, the newest at the right. This run: " in summary


async def test_a_killed_run_breaks_no_history_and_is_one_mark_where_it_goes_on(
    simulate: Simulate, deployment: Deployment
) -> None:
    """This process knows nothing of it but what is on record, as another worker's would."""
    first, second, third = ids(3)
    fails = {third: Fault(replies=[404], repeat=True)}
    simulate(tests=ids(3), faults=fails)
    await deployment.run(ids(3))
    simulator = simulate(tests=ids(3), faults={second: Fault(replies=["stalled"])})
    flow_run = await deployment.create(ids(3), max_in_flight=1)
    async with process("-m", "prefect.engine", str(flow_run.id)) as killed:
        await wait_until(lambda: sent(simulator)[second] == 1)
        os.killpg(killed.pid, signal.SIGKILL)
        await killed.wait()
    async with get_client() as client:
        await client.set_flow_run_state(flow_run.id, Crashed(), force=True)
    simulate(tests=ids(3), faults=fails | {first: Fault(replies=[403])})

    last = await deployment.create(ids(3), fail_on=["new_failure"])
    await execute(last)
    assert await histories(last.id) == {first: "✓✓✗", second: "✓·✓", third: "✗·✗"}
    assert (await deployment.changes(last.id))[third] == "still_failing"

    await execute(await scheduled_again(last))
    assert await histories(last.id) == {first: "✓✓✓", second: "✓·✓", third: "✗·✗"}
    assert (await deployment.changes(last.id))[third] == "still_failing"

    await execute(await scheduled_again(flow_run))
    assert await histories(flow_run.id) == {first: "✓✓", second: "✓✓", third: "✗✗"}


async def test_a_retried_run_is_one_mark(simulate: Simulate, deployment: Deployment) -> None:
    simulate(tests=ids(2))
    await deployment.run(ids(2))
    simulate(tests=ids(2), faults={ids(2)[0]: Fault(replies=[403])})
    flow_run = await deployment.create(ids(2))
    await execute(flow_run)
    assert await histories(flow_run.id) == {ids(2)[0]: "✓✗", ids(2)[1]: "✓✓"}
    await execute(await scheduled_again(flow_run))
    assert await histories(flow_run.id) == dict.fromkeys(ids(2), "✓✓")


async def test_runs_that_died_before_they_recorded_anything_break_no_history(
    simulate: Simulate, deployment: Deployment
) -> None:
    simulate(tests=ids(1))
    await deployment.run(ids(1))
    for _ in range(2):
        dead = await deployment.create(ids(1))
        async with get_client() as client:
            await client.set_flow_run_state(dead.id, Crashed(), force=True)
    last = await deployment.run(ids(1))
    assert await histories(last) == {ids(1)[0]: "✓✓"}


async def test_a_run_that_failed_before_it_could_begin_has_no_record_of_every_test(
    simulate: Simulate, deployment: Deployment
) -> None:
    """Should its retry die midway, the run before it tells of the tests that it had not reached."""
    simulate(tests=ids(1))
    flow_run = await deployment.create(ids(1))
    await EndpointTestGroup.delete(deployment.name)
    await execute(flow_run)
    assert "**Failed:**" in await deployment.summary(flow_run.id)
    assert not await has_reported(flow_run)
    await EndpointTestGroup(test_ids=ids(1)).save(deployment.name)
    await execute(await scheduled_again(flow_run))
    assert await has_reported(flow_run)


@pytest.mark.parametrize("read_twice", ["not found"], indirect=True)
async def test_a_prefect_server_that_is_away_at_the_start_is_waited_for_and_costs_no_history(
    simulate: Simulate, deployment: Deployment, read_twice: set[str]
) -> None:
    fails, passes = ids(2)
    simulator = simulate(tests=ids(2), faults={fails: Fault(replies=[403], repeat=True)})
    await deployment.run(ids(2))
    last = await deployment.run(ids(2))
    assert await histories(last) == {fails: "✗✗", passes: "✓✓"}
    name = f"rerun-endpoint-tests/{deployment.name}"
    narrowed = await deployment.run(ids(2), only_failed_of=name, compare_with=name)
    assert await histories(narrowed) == {fails: "✗✗✗"}
    assert sent(simulator) == {fails: 3, passes: 2}
    assert any("/deployments/name/" in call for call in read_twice)


async def test_a_deployment_without_a_run_is_compared_with_nothing_and_the_summary_says_so(
    simulate: Simulate, deployment: Deployment
) -> None:
    simulate(tests=ids(1))
    name = f"rerun-endpoint-tests/{deployment.name}"
    first = await deployment.run(ids(1), compare_with=name)
    told = f"Compared with nothing: {name}, which compare_with names, has no outcomes yet."
    assert f"## What changed\n\n{told}\n" in await deployment.summary(first)
    second = await deployment.run(ids(1), compare_with=name)
    assert "Compared with nothing" not in await deployment.summary(second)


async def test_a_run_that_is_judged_again_replaces_its_mark(
    simulate: Simulate, deployment: Deployment
) -> None:
    late = Behaviour(agents=[0, 1, 2], late_seconds=480, loss=100)
    await_results = {"wait_for_results": True, "results_deadline_minutes": 0.03}
    simulate(tests=ids(1), **QUICK)
    first = await deployment.run(ids(1), **await_results)
    clock = Clock()
    simulate(tests=ids(1), clock=clock, agents_of={ids(1)[0]: [late]}, **QUICK)
    second = await deployment.run(ids(1), **await_results)
    clock.ahead = 180  # the rounds of the next run are others
    third = await deployment.run(ids(1), **await_results)
    assert await histories(second) == {ids(1)[0]: "✓✓"}
    assert await histories(third) == {ids(1)[0]: "✓✓✓"}
    clock.ahead = 1200
    await judge_run_again(str(third), return_state=True)
    assert await histories(third) == {ids(1)[0]: "✓✓✗"}
    async with get_client() as client:
        await client.delete_flow_run(first)
    await judge_run_again(str(second), return_state=True)
    assert await histories(second) == {ids(1)[0]: "✓✗"}, "although what it compared with is gone"


ANY_ID = re.compile("[0-9a-f]{8}-[0-9a-f-]{27}")
BY_TIME = {"GET /api/flow_runs/…", "PATCH /api/artifacts/…", "POST /api/logs/"}
"""Calls of which a run makes the more the longer it takes: is it cancelled, how far is it."""


@pytest.fixture
def requests(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """Count the calls of this process to the Prefect server, by what they are for."""
    counted: Counter[str] = Counter()
    send: Callable[..., Any] = httpx.AsyncClient.send
    server = httpx.URL(str(get_current_settings().api.url))

    async def counting(self: httpx.AsyncClient, request: httpx.Request, **rest: Any) -> Any:
        if request.url.port == server.port:
            counted[f"{request.method} {ANY_ID.sub('…', request.url.path)}"] += 1
        return await send(self, request, **rest)

    monkeypatch.setattr(httpx.AsyncClient, "send", counting)
    return counted


@pytest.mark.servers
async def test_comparison_and_history_of_500_tests_cost_five_calls_of_the_prefect_server(
    simulate: Simulate, deployment: Deployment, requests: Counter[str]
) -> None:
    async def counted(**options: Any) -> Counter[str]:
        flow_run = await deployment.create(ids(500), **options)
        requests.clear()
        await execute(flow_run)
        return Counter({call: n for call, n in requests.items() if call not in BY_TIME})

    simulate(tests=ids(500))
    without = await counted(compare_with="nothing")
    compared = await counted()
    more = {"POST /api/flow_runs/filter": 1, "POST /api/artifacts/filter": 4}
    assert compared - without == more
