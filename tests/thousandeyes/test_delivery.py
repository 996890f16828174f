import pytest

from thousandeyes.delivery import Delivery, may_send_again
from thousandeyes.errors import (
    CallFailed,
    QuotaExhausted,
    ReplyLost,
    RunStopped,
    ServerError,
    Unreachable,
    refusal,
)

TOLD = [
    *(refusal(status)(f"{status}: no", status) for status in (302, 400, 401, 403, 404)),
    QuotaExhausted("waited 600 s"),
    RunStopped("cancelled"),
]


@pytest.mark.parametrize("delivery", Delivery)
@pytest.mark.parametrize("error", TOLD, ids=lambda e: type(e).__name__)
def test_what_was_told_is_never_sent_again(error: CallFailed, delivery: Delivery) -> None:
    assert not may_send_again(error, delivery)


@pytest.mark.parametrize("delivery", Delivery)
def test_what_was_never_sent_is_sent_again(delivery: Delivery) -> None:
    assert may_send_again(Unreachable("no connection"), delivery)


@pytest.mark.parametrize("error", [ReplyLost("gone"), ServerError("500: sorry", 500)])
def test_a_lost_reply_is_sent_again_only_under_at_least_once(error: CallFailed) -> None:
    assert may_send_again(error, Delivery.AT_LEAST_ONCE)
    assert not may_send_again(error, Delivery.AT_MOST_ONCE)
