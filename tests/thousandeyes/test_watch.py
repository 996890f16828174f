from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.thousandeyes.steady import steady
from thousandeyes.results import Kind
from thousandeyes.rounds import HttpRound, Measured, NetworkRound
from thousandeyes.watch import FIRST_POLL, TOGETHER, AwaitedTest, Watch

NETWORK, HTTP = Kind.NETWORK, Kind.HTTP_SERVER
BOTH = frozenset({NETWORK, HTTP})
BEFORE, ROUND = 600, 660


def watched(test_id: str = "1", **told: Any) -> AwaitedTest:
    defaults: dict[str, Any] = {
        "rounds_after": BEFORE,
        "kinds": BOTH,
        "gives_up_at": 300.0,
        "next_poll": 10.0,
    }
    return AwaitedTest(test_id, **defaults | told)


def row(kind: Kind, agent: str = "a", round_id: int = ROUND, **told: Any) -> Measured:
    model = NetworkRound if kind is NETWORK else HttpRound
    return model(test_id="1", agent_id=agent, round_id=round_id, **told)


def look(test: AwaitedTest, now: float, *rows: Measured) -> None:
    """Read what the test wants, as the loop does, and let the look end."""
    for kind, model in ((NETWORK, NetworkRound), (HTTP, HttpRound)):
        if test.wants(kind):
            for one in rows:
                if isinstance(one, model):
                    test.take(kind, one)
            test.read_to_the_end(kind)
    test.looked(now)


class TestOneTest:
    def test_it_is_complete_when_all_who_should_have_answered(self) -> None:
        test = watched(expected=2, kinds=frozenset({NETWORK}))
        look(test, 10, row(NETWORK, "a"))
        assert not test.complete
        look(test, 30, row(NETWORK, "a"), row(NETWORK, "b"))
        assert test.complete
        assert not test.over

    def test_one_that_answers_unexpectedly_does_not_stand_for_one_that_is_awaited(self) -> None:
        test = watched(expected={"a", "b"}, kinds=frozenset({NETWORK}))
        assert test.agents_expected == 2
        look(test, 10, row(NETWORK, "a"), row(NETWORK, "woken up"))
        assert not test.complete
        assert test.agents_expected == 3
        look(test, 30, row(NETWORK, "b"))
        assert test.complete
        assert test.agents_expected == 3

    def test_if_nobody_is_online_it_is_complete_when_no_more_answers_come(self) -> None:
        test = watched(expected=set(), kinds=frozenset({NETWORK}))
        look(test, 10, row(NETWORK, "woken up"))
        assert not test.complete
        look(test, 30)
        look(test, 70)
        assert test.complete

    def test_a_round_beyond_its_own_is_known_and_does_not_count(self) -> None:
        test = watched(expected=2, kinds=frozenset({NETWORK}), rounds_until=ROUND)
        look(test, 10, row(NETWORK, "a"), row(NETWORK, "b", ROUND + 60))
        assert [one.agent_id for one in test.rows] == ["a"]
        assert test.known(NETWORK, ROUND) == 2
        assert not test.complete

    @pytest.mark.parametrize("any_row_will_do", [False, True])
    def test_rounds_that_turn_out_not_to_be_its_own_leave_it_waiting_for_those_that_are(
        self,
        any_row_will_do: bool,  # noqa: FBT001
    ) -> None:
        kinds = frozenset({NETWORK})
        test = watched(expected=1, kinds=kinds, any_row_will_do=any_row_will_do)
        look(test, 10, row(NETWORK, "a", ROUND + 60))
        look(test, 30)
        assert test.complete
        test.end_rounds(ROUND)
        assert (test.rows, test.has_later_rounds, test.complete) == ([], True, False)
        look(test, 60, row(NETWORK, "a", ROUND + 60))
        assert not test.complete
        look(test, 90, row(NETWORK, "b"))
        assert test.complete
        assert [one.agent_id for one in test.rows] == ["b"]

    def test_a_single_look_reads_all_kinds_also_where_there_are_no_network_results(self) -> None:
        test = watched(next_poll=300.0)
        look(test, 300, row(HTTP))
        assert [one.agent_id for one in test.rows] == ["a"]
        assert test.over

    def test_an_agent_that_answers_twice_is_one_agent_and_both_rows_count(self) -> None:
        test = watched(expected=2, kinds=frozenset({NETWORK}))
        look(test, 10, row(NETWORK, "a", loss=0), row(NETWORK, "a", loss=50))
        assert not test.complete
        assert len(test.rows) == 2

    def test_the_same_row_read_again_is_no_new_row(self) -> None:
        test = watched(expected=9, kinds=frozenset({NETWORK}))
        for now in (10, 30, 70):
            assert not test.complete
            look(test, now, row(NETWORK))
        assert test.complete
        assert len(test.rows) == 1

    def test_nobody_is_given_up_before_somebody_has_answered(self) -> None:
        test = watched(expected=9, kinds=frozenset({NETWORK}))
        for now in (10, 30, 70, 130, 190, 250):
            look(test, now)
            assert not test.complete
            assert not test.over
        look(test, 300)
        assert test.over
        assert not test.complete

    def test_a_late_row_begins_the_silence_anew(self) -> None:
        test = watched(expected=9, kinds=frozenset({NETWORK}))
        rows = [row(NETWORK, "a")]
        look(test, 10, *rows)
        look(test, 30, *rows)
        rows.append(row(NETWORK, "late"))
        look(test, 70, *rows)
        look(test, 130, *rows)
        assert not test.complete
        look(test, 190, *rows)
        assert test.complete

    @pytest.mark.parametrize("expected", [None, 0])
    def test_where_nobody_is_known_to_come_silence_ends_it(self, expected: int | None) -> None:
        test = watched(expected=expected, kinds=frozenset({NETWORK}))
        look(test, 10, row(NETWORK))
        assert not test.complete
        look(test, 30, row(NETWORK))
        look(test, 70, row(NETWORK))
        assert test.complete

    @pytest.mark.parametrize("round_id", [BEFORE, BEFORE - 60])
    def test_a_round_that_was_there_before_is_no_answer(self, round_id: int) -> None:
        test = watched(expected=1, kinds=frozenset({NETWORK}))
        look(test, 10, row(NETWORK, round_id=round_id))
        assert test.rows == []
        look(test, 30, row(NETWORK, round_id=BEFORE + 60))
        assert test.complete

    def test_http_results_are_read_once_the_network_shows_that_it_ran(self) -> None:
        test = watched(expected=1)
        assert not test.wants(HTTP)
        test.take(NETWORK, row(NETWORK))
        assert test.wants(HTTP)

    def test_http_results_are_read_also_where_network_results_do_not_come(self) -> None:
        test = watched(expected=1)
        look(test, 10)
        assert test.wants(HTTP)
        for now in (30, 70, 130):
            look(test, now, row(HTTP))
        assert test.complete, "the network had its chance"

    def test_an_http_test_is_not_done_before_it_has_http_results_however_long_they_take(
        self,
    ) -> None:
        test = watched(expected=1, is_http=True)
        for now in (10, 30, 70, 130, 190):
            look(test, now, row(NETWORK))
            assert not test.complete
            assert not test.wants(NETWORK)
        look(test, 250, row(NETWORK), row(HTTP))
        assert test.complete

    def test_nor_is_one_of_which_they_never_come(self) -> None:
        test = watched(expected=1, is_http=True)
        for now in (10, 30, 70, 130, 190, 250, 300):
            look(test, now, row(NETWORK))
        assert test.over
        assert not test.complete

    def test_once_some_agent_has_them_silence_ends_the_wait_for_the_others(self) -> None:
        test = watched(expected=2, is_http=True)
        for now in (10, 30, 70):
            assert not test.complete
            look(test, now, row(NETWORK, "a"), row(NETWORK, "b"), row(HTTP, "a"))
        assert test.complete

    def test_an_http_test_need_not_have_network_results_which_can_be_switched_off(self) -> None:
        test = watched(expected=1, is_http=True)
        for now in (10, 30, 70, 130):
            look(test, now, row(HTTP))
        assert test.complete

    def test_that_it_is_an_http_test_shows_in_its_results_too(self) -> None:
        test = watched()
        assert not test.is_http
        test.take(HTTP, row(HTTP, round_id=BEFORE))
        assert test.is_http

    def test_of_what_is_complete_nothing_is_read_again(self) -> None:
        test = watched(expected=1)
        look(test, 10, row(NETWORK))
        assert not test.wants(NETWORK)
        assert test.wants(HTTP), "it may be an HTTP test"
        look(test, 30, row(NETWORK))
        assert test.complete, "two looks showed that it is none"

    def test_a_network_test_is_not_asked_for_http_results(self) -> None:
        test = watched(expected=5, kinds=frozenset({NETWORK}))
        look(test, 10, row(NETWORK))
        assert not test.wants(HTTP)

    def test_where_any_row_will_do_the_first_one_ends_it(self) -> None:
        test = watched(expected=25, any_row_will_do=True)
        look(test, 10, row(NETWORK, round_id=BEFORE))
        assert not test.complete
        test.take(NETWORK, row(NETWORK))
        assert test.complete
        assert not test.wants(HTTP)

    def test_a_look_that_failed_says_nothing_of_the_silence(self) -> None:
        test = watched(expected=9, kinds=frozenset({NETWORK}))
        look(test, 10, row(NETWORK))
        for now in (30, 70, 130):
            test.looked(now)
        assert not test.complete

    def test_the_gaps_grow_and_the_last_look_is_at_the_deadline(self) -> None:
        test = watched(next_poll=FIRST_POLL)
        times = []
        while not test.over:
            times.append(test.next_poll)
            look(test, test.next_poll)
        assert times == [10, 30, 70, 130, 190, 250, 300]

    def test_a_look_that_took_beyond_the_deadline_was_the_last(self) -> None:
        test = watched()
        look(test, 1000)
        assert test.over


class TestManyTests:
    def test_tests_whose_turns_are_close_are_looked_for_together(self) -> None:
        watch = Watch()
        for number, turn in enumerate([10.0, 12.0, 15.0, 15.1, 40.0]):
            watch.add(watched(str(number), next_poll=turn))
        assert watch.wait(0) == 15
        assert watch.wait(15) == 0
        assert [test.test_id for test in watch.due(15)] == ["0", "1", "2"]

    def test_a_single_test_is_not_kept_waiting(self) -> None:
        watch = Watch()
        assert watch.wait(0) is None
        watch.add(watched())
        assert watch.wait(0) == 10

    def test_who_is_done_leaves_and_the_others_stay(self) -> None:
        watch = Watch()
        tests = [watched(str(number), expected=number + 1) for number in range(2)]
        for test in tests:
            watch.add(test)
            test.take(NETWORK, row(NETWORK))
            test.take(HTTP, row(HTTP))
        assert [test.test_id for test in watch.looked(tests, 10)] == ["0"]
        assert len(watch) == 1
        assert [test.test_id for test in watch.give_up()] == ["1"]
        assert len(watch) == 0


@steady(200)
@given(
    accepted=st.lists(st.floats(0, 600), min_size=1, max_size=40),
    done_after=st.integers(1, 9),
)
def test_every_test_is_looked_for_in_time_and_leaves(
    accepted: list[float], done_after: int
) -> None:
    """However they come: the first look within its time, the last one by the deadline."""
    watch, now, left, lasts = Watch(), 0.0, sorted(accepted), {}
    first: dict[str, float] = {}
    known: dict[str, AwaitedTest] = {}
    number = 0
    while left or len(watch):
        wait = watch.wait(now)
        if left and (wait is None or left[0] <= now + wait):
            now = max(now, left.pop(0))
            test = watched(str(number), gives_up_at=now + 300, next_poll=now + FIRST_POLL)
            known[test.test_id], lasts[test.test_id] = test, now
            watch.add(test)
            number += 1
            continue
        assert wait is not None
        now += wait
        due = watch.due(now)
        assert due, "a look is never for nobody"
        for test in due:
            first.setdefault(test.test_id, now)
            if test.polls + 1 >= done_after:
                test.take(NETWORK, row(NETWORK))
                test.any_row_will_do = True
        for test in watch.looked(due, now):
            del known[test.test_id]
    assert known == {}
    for test_id, at in lasts.items():
        assert FIRST_POLL <= first[test_id] - at + 1e-6 <= FIRST_POLL + TOGETHER + 1e-3
