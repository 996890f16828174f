"""What a run makes of others in its windows, which it sees in Remaining alone."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from thousandeyes.crowd import COURTESY, PARTS, Crowd


def after(*remaining: int, lot: float = 0.0) -> Crowd:
    """Return what is known when a first window has told these, no call of its own unheard."""
    crowd = Crowd()
    crowd.begin(remaining[0], 0, lot)
    for left in remaining[1:]:
        crowd.hear(left, 0, 0)
    return crowd


@pytest.mark.parametrize(
    ("told", "users"),
    [
        ((23, 22), 0),
        ((23, 22, 21), 1),
        ((23, 21, 20), 2),
        ((23, 19, 15, 11), 4),
        ((23, 20, 17, 0), 8),
    ],
)
def test_how_many_there_are_shows_in_what_is_gone(told: tuple[int, ...], users: int) -> None:
    assert after(*told).users == users


def test_own_calls_that_nobody_has_told_of_are_no_sign_of_others() -> None:
    crowd = Crowd()
    crowd.begin(23, 0, 0)
    crowd.hear(20, 0, unheard=2)
    crowd.hear(19, 0, unheard=2)
    assert crowd.users == 1


def test_that_others_are_gone_is_believed_slowly() -> None:
    crowd, seen = after(23, 15, 7), []
    for window in range(1, 5):
        seen.append(crowd.users)
        crowd.begin(23, 60 * window, 0)
        crowd.hear(22, 60 * window, 0)
        crowd.hear(21, 60 * window, 0)
    assert seen == [8, 4, 2, 1]


@pytest.mark.parametrize(
    ("told", "at_a_time"), [((23, 22), 5), ((23, 22, 21), 7), ((23, 21, 20), 5), ((23, 19, 15), 1)]
)
def test_the_more_there_are_the_less_goes_out_at_a_time(
    told: tuple[int, ...], at_a_time: int
) -> None:
    assert after(*told).most_in_flight(told[-1], 0) == at_a_time


@pytest.mark.parametrize(("lot", "has_it"), [(0.0, True), (0.24, True), (0.26, False)])
def test_the_last_calls_of_a_shared_window_are_drawn_by_lot(lot: float, has_it: bool) -> None:  # noqa: FBT001
    crowd = after(14, 10, 6, 2, lot=lot)
    assert crowd.users == 4
    assert crowd.has_the_last(2, limit=24) is has_it
    assert crowd.has_the_last(8, limit=24), "others may have a call out each, and nobody told of it"


def test_of_a_small_window_no_more_than_half_is_drawn_by_lot() -> None:
    crowd = after(9, 5, 1, lot=0.99)
    assert crowd.users == 4
    assert not crowd.has_the_last(5, limit=12)
    assert crowd.has_the_last(6, limit=12)


@given(lot=st.floats(0, 0.999), free=st.integers(1, 24))
def test_who_is_alone_has_the_last_calls_whatever_the_lot(lot: float, free: int) -> None:
    assert after(3, 2, 1, lot=lot).has_the_last(free, limit=24)


def test_a_part_of_a_window_goes_out_at_once_and_the_rest_when_others_can_have_had_theirs() -> None:
    crowd = after(23, 22, 21)
    assert crowd.courtesy(20, 24, 0) == 0, "nobody waited for the first window"
    crowd.begin(23, 60, 0)
    part = 24 // PARTS
    assert crowd.courtesy(part - 2, 24, 60) == 0
    assert crowd.courtesy(part - 1, 24, 60.25) == COURTESY - 0.25
    assert crowd.courtesy(part - 1, 24, 60 + COURTESY) == 0


def test_who_found_itself_alone_leaves_nothing_to_others_in_the_next_window_only() -> None:
    crowd, waits = after(23, 22, 21), []
    for window in range(1, 5):
        crowd.begin(23, 60 * window, 0)
        waits.append(crowd.courtesy(5, 24, 60 * window))
        crowd.hear(22, 60 * window, 0)
        crowd.hear(21, 60 * window, 0)
    assert waits == [COURTESY, 0, COURTESY, 0]


def test_of_more_runs_each_has_a_smaller_part() -> None:
    crowd = after(23, 15, 7)
    crowd.begin(23, 60, 0)
    assert crowd.courtesy(1, 24, 60) == 0
    assert crowd.courtesy(2, 24, 60) == COURTESY


def test_one_call_alone_asks_what_others_have_left_then() -> None:
    crowd = after(23, 22, 21)
    crowd.begin(23, 60, 0)
    assert crowd.most_in_flight(18, 60 + COURTESY) == 1
    crowd.hear(17, 60 + COURTESY, 0)
    assert crowd.most_in_flight(17, 60 + COURTESY) > 1


@given(limit=st.integers(1, 240), users=st.integers(0, 300))
def test_each_window_grants_a_call_at_once_to_each_run(limit: int, users: int) -> None:
    crowd = Crowd(users)
    crowd.begin(limit, 0, 0)
    crowd.begin(limit, 60, 0)
    assert crowd.most_in_flight(1, 60) >= 1
    assert crowd.courtesy(-1, limit, 60) == 0, "the first call's own reply is not heard twice"
