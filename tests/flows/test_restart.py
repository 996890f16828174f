"""Which crashed runs are started again."""

from uuid import UUID, uuid4

import pytest
from prefect.client.schemas.objects import FlowRun, State
from prefect.states import AwaitingRetry, Cancelled, Completed, Crashed, Failed, Pending, Running

import flows.restart
from flows.around_change import rerun_around_change
from flows.create import create_endpoint_tests
from flows.organizations import rerun_organizations
from flows.rerun import judge_run_again, rerun_endpoint_tests
from flows.restart import RESTARTS, why_not

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
