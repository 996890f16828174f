"""The judge of `make chaos`: what the API received counts, not what a run says of itself."""

from dataclasses import dataclass

import pytest

from tests.chaos.judge import Judgement, is_wrong
from thousandeyes.delivery import Delivery
from thousandeyes.outcomes import Outcome
from thousandeyes.record import Record

ONCE, AGAIN = Delivery.AT_MOST_ONCE, Delivery.AT_LEAST_ONCE
ACCEPTED = Record("1", outcome=Outcome.ACCEPTED)
MARKED = Record("1", outcome=Outcome.ACCEPTED, maybe_duplicate=True)
NOT_SENT = Record("1", outcome=Outcome.NOT_ATTEMPTED)


@dataclass(frozen=True)
class Received:
    test_id: str
    at: float = 0.0
    applied: bool = True


@pytest.mark.parametrize(
    ("ran", "record", "delivery", "wrong"),
    [
        (1, ACCEPTED, AGAIN, False),
        (0, ACCEPTED, AGAIN, True),
        (2, ACCEPTED, AGAIN, True),
        (2, MARKED, AGAIN, False),
        (2, MARKED, ONCE, True),
        (1, NOT_SENT, AGAIN, True),
        (0, NOT_SENT, AGAIN, False),
        (1, None, AGAIN, True),
        (0, None, AGAIN, False),
    ],
)
def test_a_record_is_wrong_where_the_api_saw_something_else(
    ran: int, record: Record | None, delivery: Delivery, *, wrong: bool
) -> None:
    assert is_wrong(ran, record, delivery) is wrong


def test_a_test_that_neither_ran_nor_is_recorded_is_lost() -> None:
    judged = Judgement.of(["1", "2"], [Received("1")], {"1": ACCEPTED}, AGAIN)  # type: ignore[list-item]
    assert (judged.lost, judged.twice, judged.wrong, judged.holds) == (1, 0, 0, False)


def test_what_the_api_refused_did_not_run_and_recovery_counts_from_the_end_of_the_fault() -> None:
    calls = [Received("1", 1.0, applied=False), Received("1", 7.5)]
    judged = Judgement.of(["1"], calls, {"1": ACCEPTED}, AGAIN, mended_at=5.0)  # type: ignore[arg-type]
    assert judged == Judgement(seconds=2.5)
