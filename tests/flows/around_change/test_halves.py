"""What a first half tells of before the change."""

from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
from prefect.client.schemas.objects import FlowRun

from flows.around_change.flow import _why_of_no_use
from flows.around_change.halves import Half
from thousandeyes.outcomes import Outcome
from thousandeyes.record import Record

pytestmark = pytest.mark.usefixtures("prefect_server")

TEN = datetime(2026, 11, 28, 22, tzinfo=UTC)


@pytest.mark.parametrize(("seconds", "late"), [(-60, 0), (0, 0), (1, 1), (270, 270)])
def test_a_first_half_is_late_by_when_its_results_were_in_and_not_only_its_calls_answered(
    seconds: int, late: int
) -> None:
    run = FlowRun(flow_id=uuid4(), end_time=TEN + timedelta(seconds=seconds))
    answered = TEN - timedelta(minutes=2)
    record = Record("1", outcome=Outcome.ACCEPTED, started_at=answered, finished_at=answered)
    half = Half(run, [record], timedelta(minutes=10))
    assert half.seconds_late(TEN) == late
    why = _why_of_no_use(half, TEN)
    assert bool(why) == bool(late)
    assert late != 270 or str(why).startswith(
        "The first half ended 4 minutes after 2026-11-28 22:00 UTC: "
    )


@pytest.mark.parametrize(("attempts", "late"), [(1, 0), (2, 3600)])
def test_a_first_half_that_only_waited_for_the_prefect_server_since_is_not_late(
    attempts: int, late: int
) -> None:
    run = FlowRun(flow_id=uuid4(), end_time=TEN + timedelta(hours=1), run_count=attempts)
    answered = TEN - timedelta(minutes=30)
    half = Half(run, [Record("1", finished_at=answered)], timedelta(minutes=10))
    assert half.seconds_late(TEN) == late


@pytest.mark.parametrize(
    ("passed", "said"),
    [
        (0, "None of 2 tests passed: 0 (not found), 1 (not found)."),
        (1, "1 of 2 tests passed; the others did not: 1 (not found)."),
        (2, "2 of 2 tests passed."),
    ],
)
def test_how_many_passed_is_said_in_a_sentence(passed: int, said: str) -> None:
    outcomes = [Outcome.ACCEPTED] * passed + [Outcome.NOT_FOUND] * (2 - passed)
    records = [Record(str(number), outcome=outcome) for number, outcome in enumerate(outcomes)]
    assert Half(FlowRun(flow_id=uuid4()), records, timedelta()).sentence == said
