"""Several organizations on real servers: each in a run of its own, with its own quota and token."""

import asyncio
import contextlib
from collections import Counter
from collections.abc import Iterator
from typing import Any
from uuid import UUID

import pytest
from prefect import get_client
from prefect.deployments import arun_deployment
from prefect.states import AwaitingRetry

from tasks.artifacts import read_outcomes
from tasks.blocks import EndpointTestGroup, ThousandEyesCredentials
from tests.deployments.scene import client_of, simulated
from tests.deployments.topology import Topology
from thousandeyes.outcomes import Outcome

pytestmark = pytest.mark.servers

QUOTAS = {"north": 12, "south": 6}
DEAD = "west"


@pytest.fixture
def machines(machines: Topology) -> Iterator[Topology]:
    with client_of(machines):
        yield machines


def ids_of(organization: str) -> list[str]:
    return [f"{organization}-{number}" for number in range(24)]


@contextlib.contextmanager
def organizations() -> Iterator[dict[str, Any]]:
    """Serve three organizations: two with quotas of their own, one whose token is dead."""
    with contextlib.ExitStack() as stack:
        served = {}
        for name in (*QUOTAS, DEAD):
            told = {"tests": ids_of(name), "token": f"token-of-{name}", "window_seconds": 5.0}
            if name in QUOTAS:
                told["instant_limit"] = QUOTAS[name]
            served[name] = stack.enter_context(simulated(**told))
        yield {name: (simulator, env) for name, (simulator, env) in served.items()}


async def save(served: dict[str, Any]) -> None:
    for name, (_, env) in served.items():
        token = "expired" if name == DEAD else f"token-of-{name}"
        await ThousandEyesCredentials.model_validate(
            {"token": token, "base_url": env["TE_BASE_URL"]}
        ).save(name, overwrite=True)
        group = EndpointTestGroup(test_ids=ids_of(name), credentials=name)
        await group.save(f"{name}-tests", overwrite=True)


def ran(simulator: Any) -> Counter[str | None]:
    return Counter(call.test_id for call in simulator.calls if call.applied)


async def ended(flow_run_id: UUID) -> str:
    """Wait for the end of a flow run and return its sentence."""
    async with get_client() as client:
        while True:
            state = (await client.read_flow_run(flow_run_id)).state
            if state and state.is_final():
                return state.message or ""
            await asyncio.sleep(0.3)


async def test_each_goes_at_its_own_pace_and_a_retry_resends_no_accepted_test(
    machines: Topology,
) -> None:
    with organizations() as served, machines.worker("first"), machines.worker("second"):
        await save(served)
        parent = await arun_deployment(
            "rerun-organizations/organizations",
            parameters={"groups": [f"{name}-tests" for name in served]},
            timeout=0,
        )
        sentence = await ended(parent.id)
        assert sentence.startswith("2 of 3 organizations passed; west: 24 of 24 tests failed (")
        assert {name: ran(simulator) for name, (simulator, _) in served.items()} == {
            **{name: dict.fromkeys(ids_of(name), 1) for name in QUOTAS},
            DEAD: {},
        }
        # The token is mended, and somebody presses "retry" on the parent.
        await ThousandEyesCredentials.model_validate(
            {"token": f"token-of-{DEAD}", "base_url": served[DEAD][1]["TE_BASE_URL"]}
        ).save(DEAD, overwrite=True)
        async with get_client() as client:
            await client.set_flow_run_state(parent.id, AwaitingRetry())
        assert await ended(parent.id) == "3 of 3 organizations passed."
        for name, (simulator, _) in served.items():
            assert ran(simulator) == dict.fromkeys(ids_of(name), 1)
    records = await read_outcomes([parent.id])
    assert len(records) == len(served) * len(ids_of(DEAD))
    assert {record.outcome for record in records} == {Outcome.ACCEPTED}
