import pytest
from pydantic import ValidationError

from thousandeyes.simulator import Fault
from thousandeyes.simulator.faults import FaultPlan, Reply, is_applied


def test_each_run_call_uses_up_one_reply() -> None:
    plan = FaultPlan({"1": Fault(replies=[503, "dropped_after"])})
    assert [plan.take("1")[0] for _ in range(4)] == [503, "dropped_after", None, None]


def test_the_last_reply_can_hold_for_ever() -> None:
    plan = FaultPlan({"1": Fault(replies=[200, 404], repeat=True)})
    assert [plan.take("1")[0] for _ in range(4)] == [200, 404, 404, 404]


def test_what_is_coming_is_told_without_using_it_up() -> None:
    plan = FaultPlan({"1": Fault(replies=[503])})
    assert [plan.coming("1"), plan.coming("1"), plan.coming("2")] == [503, 503, None]


def test_a_fault_of_latency_alone_slows_every_call() -> None:
    plan = FaultPlan({"1": Fault(latency_seconds=0.2)})
    assert [plan.take("1"), plan.take("1")] == [(None, 0.2), (None, 0.2)]
    assert plan.take("2") == (None, 0.0)


@pytest.mark.parametrize("reply", [100, 600, "exploded"])
def test_an_unknown_reply_is_refused(reply: int | str) -> None:
    with pytest.raises(ValidationError):
        Fault(replies=[reply])


@pytest.mark.parametrize(
    ("reply", "applied"),
    [
        (None, True),
        (200, True),
        (202, True),
        (301, False),
        (429, False),
        (500, False),
        ("dropped_before", False),
        ("dropped_after", True),
        ("stalled", True),
        ("half_body", True),
        ("html", False),
        ("plain_text", True),
        ("empty", True),
        ("no_message", True),
        ("echo", False),
    ],
)
def test_each_reply_says_whether_the_run_is_applied(reply: Reply | None, applied: bool) -> None:  # noqa: FBT001  a parameter of the table
    assert is_applied(reply) is applied
