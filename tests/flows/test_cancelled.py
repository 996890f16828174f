"""What a run says that was cancelled because another one held its place."""

from datetime import UTC, datetime
from uuid import UUID, uuid4

import pytest
from prefect import get_client
from prefect.client.schemas.objects import FlowRun, State
from prefect.states import Cancelled, Cancelling, Completed, Failed, Running

from flows.cancelled import (
    PLACE_TAKEN,
    explain_cancelled_run,
    explanation,
    is_to_be_explained,
)
from tests.flows.scene import deployed_run_in

pytestmark = pytest.mark.usefixtures("prefect_server")

OURS = "rerun-endpoint-tests"
HOLDER = UUID("9e36ac3d-0a8a-4cb6-b3d3-0f3c3b2cbe0a")


def run(state: State, name: str = "merry-fox", id_: UUID = HOLDER) -> FlowRun:
    return FlowRun(id=id_, flow_id=uuid4(), name=name, state=state)


@pytest.mark.parametrize("words", [f"{PLACE_TAKEN}.", f"{PLACE_TAKEN} after lease expiry."])
def test_a_run_that_prefect_cancelled_for_another_is_explained(words: str) -> None:
    assert is_to_be_explained(run(Cancelled(message=words)), OURS)


@pytest.mark.parametrize(
    "state",
    [
        Cancelled(),
        Cancelled(message="3 of 9 tests accepted; stopped early: cancelled."),
        Cancelled(message=explanation([])),
        Failed(message=PLACE_TAKEN),
        Running(),
        Completed(),
    ],
    ids=lambda state: f"{state.name} {state.message}"[:30],
)
def test_every_other_run_is_left_as_it_is(state: State) -> None:
    assert not is_to_be_explained(run(state), OURS)


def test_so_is_a_run_of_another_projects_flow() -> None:
    assert not is_to_be_explained(run(Cancelled(message=PLACE_TAKEN)), "delete-everything")


def test_the_run_that_holds_the_place_is_named_with_the_remedy() -> None:
    running: State[None] = Running(timestamp=datetime(2026, 11, 27, 2, 0, tzinfo=UTC))
    assert explanation([run(running)]) == (
        "Not started: its place is held by run 'merry-fox' (Running since 2026-11-27 02:00 UTC). "
        "Start this one again once that ends. If nothing is executing that run, "
        f"free the place: `prefect flow-run cancel {HOLDER}`, and where it stays Cancelling "
        f"`prefect flow-run delete {HOLDER}`."
    )


def test_where_several_hold_it_all_are_named() -> None:
    at = datetime(2026, 11, 27, 2, 0, tzinfo=UTC)
    holders = [run(Running(timestamp=at)), run(Cancelling(timestamp=at), "shy-owl", uuid4())]
    said = explanation(holders)
    assert "'merry-fox' (Running since 2026-11-27 02:00 UTC) and run 'shy-owl' (Cancelling" in said


def test_where_it_has_ended_since_the_run_may_be_started_again() -> None:
    assert explanation([]) == (
        "Not started: another run held its place, and has since ended. Start it again."
    )


@pytest.mark.usefixtures("read_twice")
async def test_while_the_prefect_server_is_away_the_run_is_waited_for() -> None:
    cancelled = await deployed_run_in(Cancelled(message=PLACE_TAKEN))
    await explain_cancelled_run(cancelled.id)
    async with get_client() as client:
        now = (await client.read_flow_run(cancelled.id)).state
    assert now
    assert str(now.message).startswith("Not started: ")
