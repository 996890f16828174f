"""Which crashed runs are started again."""

from collections.abc import Callable
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from prefect import get_client
from prefect.client.base import PrefectHttpxAsyncClient
from prefect.client.schemas.objects import FlowRun, State
from prefect.states import AwaitingRetry, Cancelled, Completed, Crashed, Failed, Pending, Running

import flows.restart
from flows.around_change import rerun_around_change
from flows.create import create_endpoint_tests
from flows.organizations import rerun_organizations
from flows.rerun import judge_run_again, rerun_endpoint_tests
from flows.restart import RESTARTS, restart_crashed_run, why_not
from tasks import server_calls
from tests.flows.scene import deployed_run_in

pytestmark = pytest.mark.usefixtures("prefect_server")

OURS = "rerun-endpoint-tests"


def run(state: State, run_count: int = 1) -> FlowRun:
    return FlowRun(id=uuid4(), flow_id=uuid4(), state=state, run_count=run_count)


@pytest.mark.parametrize("run_count", range(1, RESTARTS + 1))
def test_a_crashed_run_is_started_again_three_times(run_count: int) -> None:
    state: State[None] = Crashed()
    assert why_not(run(state, run_count), OURS, state.id) is None


def test_and_then_no_more() -> None:
    state: State[None] = Crashed()
    said = why_not(run(state, RESTARTS + 1), OURS, state.id)
    assert said == "it has been started 4 times already, too often to be restarted automatically"


def test_of_two_reports_of_one_crash_only_the_last_counts() -> None:
    first: State[None] = Crashed()
    last: State[None] = Crashed()
    now = run(last)
    assert why_not(now, OURS, first.id) == "a newer report of the same crash will restart it"
    assert why_not(now, OURS, last.id) is None


@pytest.mark.parametrize(
    "state",
    [AwaitingRetry(), Pending(), Running(), Completed(), Failed(), Cancelled()],
    ids=lambda state: state.name,
)
def test_a_run_that_went_on_or_ended_otherwise_is_left_alone(state: State) -> None:
    for reported in (uuid4(), UUID(str(state.id))):
        assert why_not(run(state), OURS, reported) == f"its state is now {state.name}"


def test_a_run_of_another_projects_flow_is_left_alone() -> None:
    state: State[None] = Crashed()
    said = why_not(run(state), "delete-everything", state.id)
    assert said == "it is a run of delete-everything, which is not a flow of this project"


def test_the_flows_of_this_project_are_known_by_their_names() -> None:
    ours = (
        create_endpoint_tests,
        judge_run_again,
        rerun_around_change,
        rerun_endpoint_tests,
        rerun_organizations,
    )
    assert {one.name for one in ours} == flows.restart.OURS


@pytest.mark.usefixtures("read_twice")
async def test_while_the_prefect_server_is_away_the_crashed_run_is_waited_for() -> None:
    crashed = await deployed_run_in(Crashed())
    assert crashed.state
    state = await restart_crashed_run(crashed.id, crashed.state.id, return_state=True)
    assert str(state.message).endswith("is started again.")
    async with get_client() as client:
        now = (await client.read_flow_run(crashed.id)).state
    assert now
    assert now.name == "AwaitingRetry"


@pytest.mark.parametrize("again_by", ["this project", "Prefect's client"])
async def test_a_run_whose_start_was_answered_in_vain_is_told_as_started(
    monkeypatch: pytest.MonkeyPatch, again_by: str
) -> None:
    crashed = await deployed_run_in(Crashed())
    assert crashed.state
    send: Callable[..., Any] = PrefectHttpxAsyncClient.send
    starts: list[int] = []

    async def losing(self: Any, request: httpx.Request, **rest: Any) -> Any:
        answer = await send(self, request, **rest)
        if request.url.path.endswith(f"/{crashed.id}/set_state"):
            starts.append(answer.status_code)
            if len(starts) == 1 and again_by == "this project":
                raise httpx.ReadError("the answer was lost", request=request)
            if len(starts) == 1:
                answer = await send(self, request, **rest)
        return answer

    monkeypatch.setattr(PrefectHttpxAsyncClient, "send", losing)
    monkeypatch.setattr(server_calls, "_FIRST_PAUSE", 0.01)
    state = await restart_crashed_run(crashed.id, crashed.state.id, return_state=True)
    assert str(state.message).endswith("is started again.")
    assert len(starts) == 1
