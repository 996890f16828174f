"""What a first half tells of before the change."""

from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
from prefect.client.schemas.objects import FlowRun

from flows.around_change.halves import Half
from thousandeyes.outcomes import Outcome
from thousandeyes.record import Record

TEN = datetime(2026, 11, 28, 22, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


@pytest.mark.parametrize(
    ("record", "too_late"),
    [
        (Record("1", outcome=Outcome.ACCEPTED, started_at=TEN - MINUTE, finished_at=TEN), False),
        (Record("1", outcome=Outcome.ACCEPTED, started_at=TEN, finished_at=TEN + MINUTE), True),
        # Of an attempt that was killed during the call, and found out by its results.
        (Record("1", outcome=Outcome.ACCEPTED, started_at=TEN + MINUTE), True),
        (Record("1", outcome=Outcome.NOT_FOUND, finished_at=TEN + MINUTE), False),
    ],
)
def test_a_test_ran_after_a_time_if_its_call_was_answered_after_it(
    record: Record, *, too_late: bool
) -> None:
    half = Half(FlowRun(flow_id=uuid4()), [record])
    assert half.ran_after(TEN) == ([record] if too_late else [])
