from dataclasses import replace

import pytest

from flows.rerun.open_verdicts import is_open, what_became
from tests.thousandeyes.test_record import verdict
from thousandeyes.delivery import Delivery
from thousandeyes.outcomes import Ending, Outcome, VerdictName
from thousandeyes.record import Record

PASSED, FAILED, NO_DATA = VerdictName.PASSED, VerdictName.FAILED, VerdictName.NO_DATA


def judged(test_id: str, name: VerdictName, *, provisional: bool = False) -> Record:
    found = replace(verdict(name), provisional=provisional)
    return Record(test_id, f"Test {test_id}", outcome=Outcome.ACCEPTED, verdict=found)


@pytest.mark.parametrize(
    ("record", "delivery", "is_it"),
    [
        (judged("1", PASSED, provisional=True), Delivery.AT_LEAST_ONCE, True),
        (judged("1", PASSED), Delivery.AT_LEAST_ONCE, False),
        (Record("1", outcome=Outcome.ACCEPTED), Delivery.AT_LEAST_ONCE, True),
        (Record("1", outcome=Outcome.UNKNOWN), Delivery.AT_LEAST_ONCE, False),
        (Record("1", outcome=Outcome.UNKNOWN), Delivery.AT_MOST_ONCE, True),
        (Record("1", outcome=Outcome.NOT_FOUND), Delivery.AT_MOST_ONCE, False),
        (Record("1"), Delivery.AT_MOST_ONCE, False),
    ],
)
def test_a_verdict_is_open_where_results_may_tell_something_new(
    record: Record, delivery: Delivery, *, is_it: bool
) -> None:
    assert is_open(record, delivery) is is_it


@pytest.mark.parametrize(
    ("before", "records", "sentence"),
    [
        ({}, [judged("1", PASSED)], "No verdict was provisional."),
        (
            {"1": PASSED, "2": PASSED},
            [judged("1", PASSED), judged("2", PASSED), judged("3", FAILED)],
            "2 of 2 provisional verdicts are final now; none changed.",
        ),
        (
            {"1": PASSED, "2": NO_DATA, "3": PASSED},
            [judged("1", FAILED), judged("2", PASSED), judged("3", PASSED, provisional=True)],
            (
                "2 of 3 provisional verdicts are final now: Test 1 (passed before, failed now), "
                "Test 2 (no data before, passed now)."
            ),
        ),
        (
            {"1": Outcome.ACCEPTED, "2": PASSED},
            [judged("1", PASSED), judged("2", PASSED)],
            "2 of 2 open verdicts are final now: Test 1 (accepted before, passed now).",
        ),
        (
            {"1": Outcome.ACCEPTED},
            [Record("1", outcome=Outcome.ACCEPTED)],
            "0 of 1 open verdict is final now; none changed.",
        ),
        (
            {str(number): PASSED for number in range(7)},
            [judged(str(number), FAILED) for number in range(7)],
            "7 of 7 provisional verdicts are final now: "
            + ", ".join(f"Test {number} (passed before, failed now)" for number in range(5))
            + " and 2 more.",
        ),
    ],
)
def test_what_became_of_them_is_told_in_a_sentence(
    before: dict[str, Ending], records: list[Record], sentence: str
) -> None:
    assert what_became(before, records) == sentence


def test_what_could_not_be_read_is_told_too() -> None:
    told = what_became({"1": PASSED}, [judged("1", PASSED, provisional=True)], "503: Down.")
    assert told == (
        "0 of 1 provisional verdict is final now; none changed; "
        "the results could not be read to the end: 503: Down."
    )


def test_where_the_api_tells_of_fewer_agents_the_sentence_says_why_verdicts_stay() -> None:
    before = dict.fromkeys("123", PASSED)
    records = [judged(test_id, PASSED, provisional=test_id != "3") for test_id in before]
    assert what_became(before, records, fewer={"1": (0, 33), "2": (4, 25)}) == (
        "1 of 3 provisional verdicts is final now; none changed; 2 stay as judged, because the "
        "API now reports fewer agents: Test 1 (0, 33 then), Test 2 (4, 25 then)."
    )
