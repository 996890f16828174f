"""What changed since an earlier run, as people read it."""

from tests.tasks.reports import network
from tests.thousandeyes.test_changes import BAD, GOOD, answered, ended, night_after_night
from thousandeyes.change_words import sentences
from thousandeyes.judging import judge
from thousandeyes.record import Record
from thousandeyes.thresholds import Thresholds


def test_the_sentences_name_the_tests_and_say_since_when() -> None:
    nights = night_after_night([[ended("1", n, BAD), ended("2", n, GOOD)] for n in range(2)])
    assert sentences(nights[-1], [Record("3", test_name="Intranet")]) == [
        "Still failing: 1 (2 runs in a row, since 2026-11-20 02:00 UTC).",
        "No longer part of the run: Intranet.",
    ]


def test_a_name_that_runs_right_to_left_is_isolated() -> None:
    gone = [Record("3", test_name="רשת 3"), Record("4", test_name="רשת 4")]
    told = "\u2068רשת 3\u2069, \u2068רשת 4\u2069"
    assert sentences([], gone) == [f"No longer part of the run: {told}."]


def test_where_nothing_changed_there_is_nothing_to_say() -> None:
    assert sentences(night_after_night([[ended("1", n, GOOD)] for n in range(2)])[-1]) == []


def test_tests_that_are_worse_than_usual_are_told_in_one_sentence() -> None:
    night = night_after_night([[ended("1", 0, answered(GOOD, 25))], [ended("1", 1, GOOD)]])[-1]
    assert sentences(night) == [
        "Worse than usual, although passed: 1 (fewer agents: 5 answered, usually 25)."
    ]


IDS = [f"{number:08x}-0000-4000-8000-{number:012x}" for number in range(2)]


def failed(night: int, *agents: str) -> Record:
    rows = [network(agent, 100) for agent in agents]
    return ended("1", night, judge(rows, Thresholds(), expected=None, complete=True))


def test_a_test_that_still_fails_tells_for_how_many_other_laptops() -> None:
    same, other = failed(1, *"abcd"), failed(2, *"aefgh")
    night_after_night([[failed(0, *"abcd")], [same], [other]])
    since = "in a row, since 2026-11-20 02:00 UTC"
    assert sentences([same]) == [f"Still failing: 1 (2 runs {since})."]
    assert sentences([other]) == [
        f"Still failing: 1 (3 runs {since}; 4 laptops fail that did not before)."
    ]


def still_failing(then: list[str], now: list[str]) -> str:
    """Return what is said of a test that these agents failed in two runs."""
    night = failed(1, *now)
    night_after_night([[failed(0, *then)], [night]])
    [told] = sentences([night])
    return told


def test_agents_known_only_by_id_in_one_of_two_runs_are_not_taken_for_others() -> None:
    for then, now in (
        *((["BER-1", "BER-2"], IDS[:2]), (IDS[:2], ["BER-1", "BER-2"])),
        *((["BER-1", "BER-2"], ["BER-1", IDS[0]]), (["BER-1", IDS[0]], ["BER-1", "BER-2"])),
    ):
        assert "did not before" not in still_failing(then, now)


def test_an_agent_without_a_name_hides_no_others_that_fail_now() -> None:
    for then, now in (
        *((["BER-1", IDS[0]], ["BER-2", IDS[0]]), (["BER-1", IDS[0]], ["BER-1", IDS[1]])),
        (["BER-1"], ["BER-1", IDS[0]]),
    ):
        assert "; 1 laptop fails that did not before)" in still_failing(then, now)
