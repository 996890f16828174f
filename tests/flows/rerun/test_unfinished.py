"""What is said of a run that did not finish, and what to do about it."""

from typing import Any
from uuid import uuid4

import pytest
from prefect.client.schemas.objects import FlowRun, State
from prefect.states import Cancelled, Cancelling, Crashed, Pending, Running, Scheduled

from flows.rerun.unfinished import started_with_other, why_unfinished


@pytest.mark.parametrize(
    ("state", "said"),
    [
        (Crashed(message="Exit code -9"), "crashed: Exit code -9. Retry it in Prefect"),
        (Crashed(), "crashed: no reason is known. Retry it in Prefect"),
        (Cancelled(message="Wrong list"), "was cancelled: Wrong list. Retry it in Prefect"),
        (Running(), "is still going after 60 s: wait longer, or cancel it"),
        (Cancelling(), "is still going after 60 s"),
        (Scheduled(), "has not begun after 60 s: is a worker running"),
        (Pending(), "has not begun after 60 s: is a worker running"),
    ],
    ids=lambda value: value.name if isinstance(value, State) else "",
)
def test_each_says_what_happened_and_what_to_do(state: State[Any], said: str) -> None:
    run = FlowRun(id=uuid4(), flow_id=uuid4(), name="blue-fox", state=state)
    words = why_unfinished(run, 60, 3)
    assert words.startswith(f"The run 'blue-fox' ({run.id}) {said}")
    assert words.endswith("It has recorded 3 outcomes so far.")


def test_a_name_that_runs_right_to_left_is_isolated_from_the_id() -> None:
    run = FlowRun(flow_id=uuid4(), name="רשת 3", state=Running())
    assert why_unfinished(run, 60, 1).startswith(f"The run \u2068'רשת 3'\u2069 ({run.id}) is still")


def test_one_outcome_is_one_outcome() -> None:
    words = why_unfinished(FlowRun(flow_id=uuid4(), state=Running()), 60, 1)
    assert words.endswith("It has recorded 1 outcome so far.")


@pytest.mark.parametrize(
    ("asked", "other"),
    [
        ({"test_ids": ["1", "2"]}, None),
        ({"test_ids": ["2", "1"]}, None),
        ({"test_ids": ["1"], "options": {"delivery": "at_most_once"}}, "test_ids"),
        ({"groups": ["sites"], "options": {"dry_run": True}}, "groups, options"),
    ],
)
def test_a_key_that_started_a_run_of_something_else_is_told_with_what_to_do(
    asked: dict[str, Any], other: str | None
) -> None:
    begun = {"test_ids": ["1", "2"], "options": {"delivery": "at_most_once"}, "credentials": "acme"}
    run = FlowRun(id=uuid4(), flow_id=uuid4(), name="calm-toad", parameters=begun)
    said = started_with_other(asked, run)
    if other is None:
        assert said is None
    else:
        assert said
        assert f"a run with other {other} before: 'calm-toad' ({run.id}). Give another" in said
