from hypothesis import given
from hypothesis import strategies as st

from tests.thousandeyes.steady import steady
from thousandeyes.own_rounds import CHECK_IN, own_rounds
from thousandeyes.results import first_round

NOON = 1_800_000_000
intervals = st.sampled_from([60, 120, 300, 600, 900, 1800, 3600])
seconds = st.floats(0, 7200)


def noted(sent: float, interval: int) -> int:
    """Return what a run notes before a call at this moment."""
    return first_round(sent, interval) - interval


@steady(100)
@given(seconds, intervals, seconds, st.floats(0, CHECK_IN))
def test_what_an_agent_measures_by_its_next_check_in_counts_and_is_waited_for(
    since_noon: float, interval: int, took: float, fetched_after: float
) -> None:
    sent = NOON + since_noon
    own = own_rounds(noted(sent, interval), interval, took=took)
    measured = first_round(sent + took + fetched_after, interval)
    assert own.after < measured <= own.until
    assert own.answered_by > sent + took + fetched_after


@steady(100)
@given(seconds, intervals, st.floats(0, 36_000))
def test_the_rounds_of_a_later_rerun_do_not(
    since_noon: float, interval: int, later_by: float
) -> None:
    """But for one in the same interval, which nothing tells from this one."""
    sent = NOON + since_noon
    other = first_round(sent + later_by, interval)
    own = own_rounds(noted(sent, interval), interval, later=[noted(other, interval)])
    assert own.until < other or other == first_round(sent, interval)


@steady(100)
@given(seconds, intervals, st.floats(0, 36_000))
def test_what_counted_while_the_run_waited_still_counts(
    since_noon: float, interval: int, awaited: float
) -> None:
    sent = NOON + since_noon
    own = own_rounds(noted(sent, interval), interval, awaited=awaited)
    assert own.until >= first_round(sent + awaited, interval)


def test_an_earlier_rerun_bounds_nothing() -> None:
    after = NOON - 60
    assert own_rounds(after, 60, later=[after - 600, after]) == own_rounds(after, 60)


def test_without_a_later_rerun_the_bound_is_ten_minutes_after_the_call() -> None:
    own = own_rounds(noted(NOON + 30, 60), 60)
    assert NOON + 600 <= own.until <= NOON + 660
    assert own.answered_by == NOON + 960
