"""When the wait for a change is over: by the clock, or by what the server knows of the run."""

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prefect.client.schemas.objects import State
from prefect.exceptions import ParameterTypeError
from prefect.states import (
    AwaitingRetry,
    Completed,
    Crashed,
    Failed,
    Paused,
    Pending,
    Running,
    Scheduled,
    Suspended,
)

from flows.around_change import rerun_around_change
from flows.around_change.waiting import KEY, check_until, is_over
from thousandeyes.errors import SettingsError

pytestmark = pytest.mark.usefixtures("prefect_server")

NOON = datetime(2026, 11, 28, 12, tzinfo=UTC)
OURS: list[State[Any]] = [Suspended(pause_key=KEY), Paused(pause_key=KEY)]
OTHERS: list[State[Any]] = [
    Suspended(pause_key="by hand"),
    Pending(),
    Failed(),
    Crashed(),
    AwaitingRetry(),
]
RESUMING: State[Any] = Scheduled(name="Resuming")


def in_turn(*states: State[Any]) -> list[State[Any]]:
    return [
        state.model_copy(update={"timestamp": NOON + timedelta(seconds=second)})
        for second, state in enumerate(states)
    ]


@pytest.mark.parametrize("pause", OURS, ids=lambda state: state.name)
@pytest.mark.parametrize("resumption", [RESUMING, Running()], ids=lambda state: state.name)
def test_a_run_that_was_resumed_never_waits_again(
    pause: State[Any], resumption: State[Any]
) -> None:
    later: list[State[Any]] = [Pending(), Running(), Crashed(), AwaitingRetry(), Running()]
    states = in_turn(Pending(), Running(), pause, resumption, *later)
    assert is_over(states, None, NOON)
    assert is_over(states[::-1], None, NOON), "in whatever order the server tells them"


@pytest.mark.parametrize("pause", OURS, ids=lambda state: state.name)
@pytest.mark.parametrize("end", [Failed(), Crashed()], ids=lambda state: state.name)
def test_a_wait_that_ended_without_a_resumption_is_not_over(
    pause: State[Any], end: State[Any]
) -> None:
    assert not is_over(in_turn(Running(), pause, end, AwaitingRetry(), Running()), None, NOON)


def test_somebody_who_suspended_and_resumed_the_run_before_did_not_end_this_wait() -> None:
    states = in_turn(Running(), Suspended(pause_key="by hand"), RESUMING, Pending(), Running())
    assert not is_over(states, None, NOON)


@given(st.lists(st.sampled_from([*OTHERS, Running(), RESUMING, Completed()]), max_size=9))
def test_without_a_wait_of_ours_none_is_over(states: list[State[Any]]) -> None:
    assert not is_over(in_turn(*states), None, NOON)


def test_a_time_that_has_come_ends_the_wait_and_is_refused_where_it_would_begin_one() -> None:
    hour = timedelta(hours=1)
    assert is_over([], NOON, NOON)
    assert not is_over([], NOON + hour, NOON)
    with pytest.raises(SettingsError, match=r"until: .*12:00.* in the past.* Nothing was sent\."):
        check_until(NOON, NOON)
    check_until(NOON + hour, NOON)
    check_until(None, NOON)


def test_a_time_that_no_run_lives_to_see_is_refused_before_anything_is_sent() -> None:
    last = datetime.max.replace(tzinfo=timezone(timedelta(hours=-5)))
    with pytest.raises(SettingsError, match=r"is more than a year away.* Nothing was sent\."):
        check_until(last, NOON)


@pytest.mark.parametrize("until", ["23:30", "2026-11-28T22:00", "tonight", ""])
def test_a_time_that_is_none_is_told_with_what_one_looks_like(until: str) -> None:
    with pytest.raises(ParameterTypeError, match=r"until: .*22:00\+01:00. Nothing was sent\.$"):
        rerun_around_change.validate_parameters({"until": until})
