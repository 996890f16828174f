"""What a parent is told of a run that came to no end of its own; the rest is tested on a worker."""

from uuid import uuid4

import pytest
from prefect.client.schemas.objects import FlowRun, State
from prefect.states import Cancelled, Cancelling, Crashed, Pending, Running, Scheduled

from flows.rerun.remote import RerunUnfinished, _unfinished, rerun_by_deployment
from tests.flows.scene import NO_RUN


@pytest.mark.parametrize(
    ("state", "said"),
    [
        (Crashed(message="Exit code -9"), "crashed: Exit code -9. Retry it in Prefect"),
        (Crashed(), "crashed: no reason is known. Retry it in Prefect"),
        (Cancelled(message="Wrong list"), "was cancelled: Wrong list. Retry it in Prefect"),
        (Running(), "is not over after 60 s, and goes on: wait longer, or cancel it"),
        (Cancelling(), "is not over after 60 s"),
        (Scheduled(), "has not begun after 60 s: is a worker up"),
        (Pending(), "has not begun after 60 s: is a worker up"),
    ],
    ids=lambda value: value.name if isinstance(value, State) else "",
)
def test_each_says_what_happened_and_what_to_do(state: State, said: str) -> None:
    run = FlowRun(id=uuid4(), flow_id=uuid4(), name="blue-fox", state=state)
    words = _unfinished(run, 60, 3)
    assert words.startswith(f"The run 'blue-fox' ({run.id}) {said}")
    assert words.endswith("It has recorded 3 outcomes so far.")


@pytest.mark.parametrize("deployment", ["delete-everything/nightly", NO_RUN, ""])
async def test_it_starts_no_deployment_of_another_flow(deployment: str) -> None:
    with pytest.raises(RerunUnfinished, match="is no deployment of rerun-endpoint-tests"):
        await rerun_by_deployment(["1"], deployment=deployment)
