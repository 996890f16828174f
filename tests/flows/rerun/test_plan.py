import pytest

from flows.rerun.plan import plan, window_seconds
from thousandeyes.families import FamilyQuota, Told


def told(limit: int, remaining: int, seconds_left: float = 60.0) -> Told:
    return Told(limit, remaining, 1_800_000_000.0, seconds_left)


def quota(reading: Told | None, reserve: float = 0.0) -> FamilyQuota:
    family = FamilyQuota(reserve)
    family.told = reading
    return family


@pytest.mark.parametrize(
    ("tests", "text"),
    [
        (24, "24 tests, 24 a minute: about 1 s"),
        (25, "25 tests, 24 a minute: about 60 s"),
        (87, "87 tests, 24 a minute: about 3 minutes"),
        (10_000, "10000 tests, 24 a minute: about 6 h 56 min"),
    ],
)
def test_the_plan_counts_the_windows_that_open_after_the_first(tests: int, text: str) -> None:
    assert plan(tests, quota(told(24, 23)), 20) == text


def test_without_a_told_limit_only_the_number_in_flight_is_known() -> None:
    assert plan(87, quota(None), 20) == "87 tests, no limit told: up to 20 at a time"
    assert plan(87, quota(told(0, 0)), 20) == "87 tests, no limit told: up to 20 at a time"


def test_what_is_kept_back_for_others_makes_it_longer() -> None:
    assert plan(48, quota(told(24, 23), 0.5), 20) == "48 tests, 24 a minute: about 3 minutes"


def test_a_shorter_window_is_told_as_it_is() -> None:
    assert plan(50, quota(told(24, 23, 10.0)), 20) == "50 tests, 24 every 10 s: about 20 s"


def test_only_the_reply_that_opened_a_window_shows_its_length() -> None:
    assert window_seconds(told(24, 23, 10.0)) == 10.0
    assert window_seconds(told(24, 12, 10.0)) == 60
    assert window_seconds(told(24, 23, 59.0)) == 60  # rounded to whole seconds
