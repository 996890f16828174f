from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from thousandeyes.simulator.quota import FixedWindow, Quota


def test_a_window_is_a_minute_of_the_clock() -> None:
    window = FixedWindow(limit=2, seconds=60)
    assert window.rolls_over_at(130) == 180, "before the first call too"
    assert [window.take(130), window.take(179.9), window.take(179.9)] == [True, True, False]
    assert window.rolls_over_at(179.9) == 180
    assert window.remaining(180) == 2
    assert window.take(180)
    assert window.rolls_over_at(180) == 240


def test_a_scaled_window_begins_with_each_multiple_of_its_length() -> None:
    window = FixedWindow(limit=1, seconds=15)
    assert window.take(1_800_000_014.9)
    assert window.rolls_over_at(1_800_000_014.9) == 1_800_000_015
    assert window.take(1_800_000_015)


def test_a_window_may_be_opened_by_its_first_call() -> None:
    window = FixedWindow(limit=2, seconds=60, begins="first_call")
    assert not window.is_open(100)
    assert window.take(130)
    assert window.rolls_over_at(140) == 190
    assert window.is_open(189.9)
    assert not window.is_open(190)


def test_the_next_window_is_opened_by_the_first_call_after_it() -> None:
    window = FixedWindow(limit=1, seconds=60, begins="first_call")
    assert window.take(100)
    assert window.take(175)
    assert not window.take(220)
    assert window.take(235)


def test_a_refused_call_is_not_counted() -> None:
    window = FixedWindow(limit=1, seconds=60, begins="first_call")
    assert [window.take(0), window.take(1), window.take(2)] == [True, False, False]
    assert window.remaining(2) == 0
    assert window.remaining(60) == 1


def test_a_limit_of_none_grants_nothing() -> None:
    assert not FixedWindow(limit=0, seconds=60, begins="first_call").take(0)


@given(
    limit=st.integers(1, 8),
    seconds=st.floats(0.01, 90),
    gaps=st.lists(st.floats(0, 60), max_size=120),
)
def test_no_window_of_the_clock_ever_grants_more_than_its_limit(
    limit: int, seconds: float, gaps: list[float]
) -> None:
    window = FixedWindow(limit, seconds)
    now, granted = 1_800_000_000.0, Counter[float]()
    for gap in gaps:
        now += gap
        remaining, end = window.remaining(now), window.rolls_over_at(now)
        assert now < end <= now + seconds * 1.001
        assert window.take(now) == (remaining > 0)
        granted[end] += remaining > 0
        assert granted[end] <= limit
        assert window.rolls_over_at(now) == end


@given(
    limit=st.integers(1, 8),
    seconds=st.floats(0.5, 90),
    gaps=st.lists(st.floats(0, 60), max_size=120),
)
def test_no_window_of_a_first_call_ever_grants_more_than_its_limit(
    limit: int, seconds: float, gaps: list[float]
) -> None:
    window = FixedWindow(limit, seconds, "first_call")
    now, opened_at, granted = 1_000.0, float("-inf"), 0
    for gap in gaps:
        now += gap
        if now >= opened_at + seconds:
            opened_at, granted = now, 0
        assert window.take(now) == (granted < limit)
        granted = min(limit, granted + 1)
        assert window.remaining(now) == limit - granted
        assert window.rolls_over_at(now) == opened_at + seconds


def test_a_run_refused_by_the_instant_limit_still_was_a_call_of_the_organization() -> None:
    quota = Quota(organization_limit=10, instant_limit=1, window_seconds=60, begins="first_call")
    assert quota.take(("organization", "instant"), 0) is None
    assert quota.take(("organization", "instant"), 1) == "instant"
    assert quota.windows["organization"].remaining(1) == 8


def test_a_run_refused_by_the_organization_spends_no_instant_call() -> None:
    quota = Quota(organization_limit=1, instant_limit=5, window_seconds=60, begins="first_call")
    quota.take(("organization",), 0)
    assert quota.take(("organization", "instant"), 1) == "organization"
    assert quota.windows["instant"].remaining(1) == 5


def test_reset_is_rounded_as_asked() -> None:
    for rounding, told in (("up", "161"), ("down", "160")):
        quota = Quota(
            organization_limit=5,
            instant_limit=5,
            window_seconds=60,
            begins="first_call",
            reset_rounding="up" if rounding == "up" else "down",
        )
        quota.take(("organization",), 100.5)
        assert quota.headers(("organization",), 101) == {
            "X-Organization-Rate-Limit-Limit": "5",
            "X-Organization-Rate-Limit-Remaining": "4",
            "X-Organization-Rate-Limit-Reset": told,
        }
