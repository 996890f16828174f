import asyncio
import logging
import re
from collections.abc import Sequence

import pytest

from flows.rerun import plan as planning
from flows.rerun.options import RerunOptions
from flows.rerun.plan import documented_plan, plan, tell_plan
from tests.flows.rerun.world import NOON, World
from thousandeyes.families import Family, FamilyQuota, Mark, Told
from thousandeyes.gate import QuotaGate
from thousandeyes.record import Record


def told(limit: int, remaining: int, seconds_left: float = 60.0, reset: float = NOON) -> Told:
    return Told(limit, remaining, reset, seconds_left)


def quota(*readings: Told, reserve: float = 0.0) -> FamilyQuota:
    """Return a quota that has heard these, each after the end of the one before."""
    family, now = FamilyQuota(reserve), 0.0
    for reading in readings:
        family.roll_over(now)
        family.hear(reading, Mark(family.era, 0), now)
        now += reading.seconds_left
    return family


def first_plan(tests: int, *readings: Told, reserve: float = 0.0) -> str:
    """Return the plan as it is told when the first call has been answered."""
    return plan(tests, quota(*readings, reserve=reserve), 20, sent=1)


@pytest.mark.parametrize(
    ("tests", "text"),
    [
        (24, "24 tests, 24 a minute: about 1 s"),
        (25, "25 tests, 24 a minute: about 60 s"),
        (87, "87 tests, 24 a minute: about 3 minutes"),
        (10_000, "10000 tests, 24 a minute: about 6 h 56 min"),
    ],
)
def test_the_plan_counts_the_minutes_that_begin_after_the_first(tests: int, text: str) -> None:
    assert first_plan(tests, told(24, 23)) == text


@pytest.mark.parametrize(
    ("seconds_left", "text"),
    [(9.0, "about 3 minutes"), (60.0, "about 4 minutes"), (2.0, "about 3 minutes")],
)
def test_the_first_minute_has_as_much_left_as_is_told(seconds_left: float, text: str) -> None:
    """By the fact that windows are clock minutes, 100 tests with 9 s left take 189 s."""
    assert first_plan(100, told(24, 23, seconds_left)).endswith(text)


def test_a_last_second_is_not_counted_on() -> None:
    assert first_plan(24, told(24, 23, 2.0)) == "24 tests, 24 a minute: about 1 s"
    assert first_plan(24, told(24, 23, 1.0)) == "24 tests, 24 a minute: about 1 s"
    assert first_plan(26, told(24, 23, 2.0)) == "26 tests, 24 a minute: about 2 s"
    assert first_plan(26, told(24, 23, 1.0)) == "26 tests, 24 a minute: about 61 s"


def test_what_others_have_used_of_the_first_minute_is_not_counted_on() -> None:
    assert first_plan(24, told(24, 3, 10.0)) == "24 tests, 24 a minute: about 10 s"
    assert first_plan(29, told(24, 3, 10.0)) == "29 tests, 24 a minute: about 70 s"


def test_without_a_told_limit_only_the_number_in_flight_is_known() -> None:
    assert first_plan(87) == "87 tests, limit unknown: up to 20 at a time"
    assert first_plan(87, told(0, 0)) == "87 tests, limit unknown: up to 20 at a time"


def test_what_is_kept_back_for_others_makes_it_longer() -> None:
    assert first_plan(48, told(24, 23), reserve=0.5) == "48 tests, 24 a minute: about 3 minutes"


def test_the_seconds_left_alone_make_no_window_shorter_than_a_minute() -> None:
    assert quota(told(24, 23, 10.0)).window == 60
    assert quota(told(24, 12, 10.0)).window == 60
    assert quota(told(24, 23, 61.0)).window == 60, "rounded to whole seconds"


@pytest.mark.parametrize(
    ("gaps", "window"),
    [
        ([10], 10),
        ([20, 10, 30], 10),
        ([60], 60),
        ([59], 60),
        ([61], 60),
        ([60, 600, 120], 60),
        ([90], 60),
    ],
)
def test_later_resets_show_how_long_a_window_is(gaps: Sequence[float], window: float) -> None:
    readings, reset = [told(24, 23, 5.0)], NOON
    for gap in gaps:
        reset += gap
        readings.append(told(24, 23, 5.0, reset))
    assert quota(*readings).window == window


def test_a_window_with_more_than_a_minute_left_is_longer_than_one() -> None:
    assert first_plan(50, told(24, 23, 600.0)) == "50 tests, 24 every 600 s: about 20 minutes"


def test_a_shorter_window_is_planned_with_once_it_is_known() -> None:
    known = quota(told(24, 23, 5.0), told(24, 20, 8.0, NOON + 10))
    assert plan(50, known, 20) == "50 tests, 24 every 10 s: about 18 s"


def test_before_anything_is_known_whole_minutes_are_counted() -> None:
    assert documented_plan(100, 0).startswith("100 tests, 24 a minute: about 4 minutes, at")


@pytest.mark.parametrize("phase", [0, 12, 24, 36, 48, 54, 59.5])
@pytest.mark.parametrize("tests", [96, 100])
def test_in_every_phase_of_the_minute_the_plan_is_within_a_window_of_the_truth(
    phase: float, tests: int
) -> None:
    world = World(tests=tests, starts_at=NOON + phase)
    world.rerun()
    said = re.fullmatch(r".*: about (\d+) (s|minutes)", world.plan)
    assert said
    planned = int(said[1]) * (60 if said[2] == "minutes" else 1)
    # Minutes are rounded, and how many still go out in a last second nobody can tell.
    assert abs(planned - world.took) <= (35 if phase <= 54 else 60)
    before = re.search(r"about (\d+) minutes", documented_plan(tests, 0))
    assert before
    assert 0 <= 60 * int(before[1]) - world.took + 5 <= 65


async def test_the_plan_is_told_once_where_the_first_reply_shows_the_window(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(planning, "get_run_logger", lambda: logging.getLogger("plan"))
    caplog.set_level(logging.INFO, "plan")
    gate, records = QuotaGate(), [Record(str(number)) for number in range(50)]
    gate.quota.families[Family.INSTANT] = quota(told(24, 23, 600.0))
    gate.first_reply.set()
    gate.other_window.set()
    await tell_plan(gate, records, RerunOptions())
    assert caplog.messages == ["50 tests, 24 every 600 s: about 20 minutes"]


async def test_and_anew_for_what_is_left_once_resets_show_another_window(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(planning, "get_run_logger", lambda: logging.getLogger("plan"))
    caplog.set_level(logging.INFO, "plan")
    gate, records = QuotaGate(), [Record(str(number)) for number in range(87)]
    gate.quota.families[Family.INSTANT] = known = quota(told(24, 23))
    gate.first_reply.set()
    task = asyncio.ensure_future(tell_plan(gate, records, RerunOptions(wait_for_results=True)))
    await asyncio.sleep(0)
    known.window = 10.0
    records[0].begun = True
    gate.other_window.set()
    await task
    assert caplog.messages == [
        "87 tests, 24 a minute: about 3 minutes; then up to 5 minutes for results",
        f"The quota's window is not a minute. {plan(86, known, 20)}",
    ]
