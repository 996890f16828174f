from itertools import groupby
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flows.runs.breaker import IN_A_ROW, Breaker
from tests.thousandeyes.steady import steady
from thousandeyes.outcomes import Outcome

DOWN = (Outcome.SERVER_ERROR, Outcome.UNREACHABLE, Outcome.UNKNOWN)


def reasons(*outcomes: Outcome) -> list[str | None]:
    breaker = Breaker()
    return [
        breaker.note(breaker.take_place(None), outcome) or breaker.closes(None)
        for outcome in outcomes
    ]


@pytest.mark.parametrize("outcome", DOWN)
def test_ten_tests_in_a_row_without_an_answer_open_it(outcome: Outcome) -> None:
    *before, last = reasons(*[outcome] * IN_A_ROW)
    assert before == [None] * 9
    unreached = outcome is Outcome.UNREACHABLE
    got = "connection to the API" if unreached else "useful answer"
    assert last == f"10 tests in a row got no {got}, even after all retries"


def test_the_ways_to_get_no_answer_count_together_and_at_any_time() -> None:
    row = [*[Outcome.ACCEPTED] * 30, *DOWN, *DOWN, *DOWN, Outcome.UNKNOWN]
    *before, last = reasons(*row)
    assert before == [None] * 39
    assert last == "10 tests in a row got no useful answer, even after all retries"


@pytest.mark.parametrize("answer", [outcome for outcome in Outcome if outcome not in DOWN])
def test_any_answer_begins_the_count_anew(answer: Outcome) -> None:
    assert not any(reasons(*[Outcome.UNKNOWN] * 9, answer, *[Outcome.UNKNOWN] * 9))


@pytest.mark.parametrize(
    ("outcome", "hint"),
    [
        (Outcome.FORBIDDEN, "check the token's permissions"),
        (Outcome.NOT_FOUND, "check the IDs and TE_AID"),
    ],
)
def test_the_first_ten_alike_open_it_with_a_hint(outcome: Outcome, hint: str) -> None:
    *before, last = reasons(*[outcome] * IN_A_ROW)
    assert before == [None] * 9
    assert hint in str(last)


def test_it_looks_at_each_account_group_by_itself() -> None:
    breaker = Breaker()
    for _ in range(IN_A_ROW):
        for aid, outcome in (("1", Outcome.FORBIDDEN), ("2", Outcome.ACCEPTED)):
            assert breaker.note(breaker.take_place(aid), outcome) is None
    assert breaker.closes("1")
    assert breaker.closes("2") is None
    assert breaker.closes("3") is None


@pytest.mark.parametrize("outcome", [Outcome.FORBIDDEN, Outcome.NOT_FOUND])
def test_later_on_any_number_alike_is_about_the_tests(outcome: Outcome) -> None:
    assert not any(reasons(Outcome.ACCEPTED, *[outcome] * 50))
    assert not any(reasons(*[outcome] * 9, Outcome.INVALID, *[outcome] * 50))


@pytest.mark.parametrize("outcome", [Outcome.FORBIDDEN, Outcome.NOT_FOUND])
def test_the_first_ten_say_nothing_once_a_later_one_got_through(outcome: Outcome) -> None:
    breaker = Breaker()
    places = [breaker.take_place("1") for _ in range(IN_A_ROW + 1)]
    for place in reversed(places):  # the others take long to be recorded
        breaker.note(place, outcome if place < IN_A_ROW else Outcome.ACCEPTED)
        assert breaker.closes("1") is None


@pytest.mark.parametrize("outcome", [Outcome.ACCEPTED, Outcome.INVALID, Outcome.QUOTA_EXHAUSTED])
def test_other_outcomes_alike_never_open_it(outcome: Outcome) -> None:
    assert not any(reasons(*[outcome] * 50))


@given(
    st.lists(st.sampled_from(DOWN * 4 + (Outcome.ACCEPTED,)), min_size=11, max_size=60),
    st.randoms(),
)
@steady(200)
def test_tests_that_are_settled_later_count_where_they_were_sent(
    outcomes: list[Outcome], random: Random
) -> None:
    breaker = Breaker()
    places = [breaker.take_place(None) for _ in outcomes]
    random.shuffle(places)
    opened = [breaker.note(place, outcomes[place]) for place in places]
    rows = [len(list(row)) for down, row in groupby(outcomes, DOWN.__contains__) if down]
    assert any(opened) is (max(rows, default=0) >= IN_A_ROW)


def test_a_test_that_is_not_settled_yet_keeps_its_neighbours_apart() -> None:
    breaker = Breaker()
    for number in range(2 * IN_A_ROW - 1):
        place = breaker.take_place(None)
        if number != IN_A_ROW - 1:
            assert breaker.note(place, Outcome.UNKNOWN) is None
    assert breaker.note(IN_A_ROW - 1, Outcome.UNKNOWN)
