"""What the answer says of two halves."""

from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flows.around_change.difference import Difference, Effect
from flows.around_change.options import AroundChangeOptions
from tasks.markdown import plain
from tests.tasks.reports import judged, network
from tests.thousandeyes.test_changes import measured
from thousandeyes.changes import compared
from thousandeyes.outcomes import Ending, Outcome, VerdictName, in_words
from thousandeyes.record import Record
from thousandeyes.text import isolated

pytestmark = pytest.mark.usefixtures("prefect_server")

DEFAULT = AroundChangeOptions().fail_on
PASSED, FAILED = VerdictName.PASSED, VerdictName.FAILED
REPORTS = {"before the change": "/b", "after the change": "/a"}


def record(number: int, ending: Ending) -> Record:
    name = f"test {number}"
    if isinstance(ending, VerdictName):
        return Record(str(number), name, Outcome.ACCEPTED, attempts=1, verdict=measured(ending))
    return Record(str(number), name, ending, attempts=1)


def halves(before: Sequence[Ending], after: Sequence[Ending]) -> tuple[list[Record], list[Record]]:
    first = [record(place, ending) for place, ending in enumerate(before)]
    second = [record(place, ending) for place, ending in enumerate(after)]
    return with_standings(first, second)


def with_standings(first: list[Record], second: list[Record]) -> tuple[list[Record], list[Record]]:
    known = {one.test_id: one for one in first}
    for one in second:
        one.stands(compared(one, known.get(one.test_id), "the first half"))
    return first, second


def answered(record: Record, agents: int, *, provisional: bool = False) -> None:
    assert record.verdict
    record.judged(replace(record.verdict, agents_answered=agents, provisional=provisional))


@pytest.mark.parametrize(
    ("before", "after", "sentence", "passed"),
    [
        (
            [PASSED, PASSED, FAILED, FAILED],
            [FAILED, PASSED, PASSED, FAILED],
            (
                "1 of 4 tests broke with the change: test 0; 1 recovered; 1 fails as before; 1 is "
                "unchanged."
            ),
            False,
        ),
        ([PASSED], [PASSED], "None of 1 tests broke with the change; 1 is unchanged.", True),
        (
            [PASSED],
            [VerdictName.NO_DATA],
            "1 of 1 tests broke with the change: test 0 (no data).",
            False,
        ),
        (
            [PASSED, PASSED],
            [PASSED, Outcome.NOT_ATTEMPTED],
            (
                "None of 2 tests broke with the change; 1 was not measured after; 1 is unchanged; "
                "failed by fail_on: test 1 (not attempted)."
            ),
            False,
        ),
        (
            [Outcome.NOT_ATTEMPTED, Outcome.NOT_ATTEMPTED],
            [FAILED, PASSED],
            (
                "None of 2 tests is known to have broken with the change; 1 fails and was not "
                "measured before: test 0; 1 is well and was not measured before."
            ),
            False,
        ),
        (
            [PASSED, PASSED],
            [PASSED],
            "None of 1 tests broke with the change; 1 is no longer among them; 1 is unchanged.",
            True,
        ),
    ],
)
def test_the_sentence_tells_what_the_change_did(
    before: list[Ending],
    after: list[Ending],
    sentence: str,
    passed: bool,  # noqa: FBT001
) -> None:
    difference = Difference.of(*halves(before, after), DEFAULT)
    assert (difference.sentence, difference.passed) == (sentence, passed)


def failing(number: int, *agents: str) -> Record:
    rows = [network("fine", 0), *(network(agent, 100) for agent in agents)]
    return judged(str(number), *rows, test_name=f"test {number}")


@pytest.mark.parametrize(
    ("after", "sentence"),
    [
        (
            [failing(0, *"abc")],
            "None of 1 tests broke with the change; 1 fails as before.",
        ),
        (
            [failing(0, *"defgh")],
            (
                "None of 1 tests broke with the change; 1 fails as before, also on 5 laptops that "
                "did not fail then."
            ),
        ),
        (
            [failing(0, *"abc"), failing(1, *"abcd")],
            (
                "None of 2 tests broke with the change; 2 fail as before, 1 of them also on "
                "1 laptop that did not fail then."
            ),
        ),
        (
            [failing(0, *"abcd"), failing(1, *"abcef")],
            (
                "None of 2 tests broke with the change; 2 fail as before, both also on laptops "
                "that did not fail then (3 in all)."
            ),
        ),
        (
            [failing(number, *"abcd") for number in range(3)],
            (
                "None of 3 tests broke with the change; 3 fail as before, all of them also on "
                "1 laptop that did not fail then."
            ),
        ),
    ],
)
def test_a_test_that_fails_as_before_for_other_laptops_is_said_to(
    after: list[Record], sentence: str
) -> None:
    before = [failing(number, *"abc") for number in range(len(after))]
    difference = Difference.of(*with_standings(before, after), DEFAULT)
    assert (difference.sentence, difference.passed) == (sentence, True)
    page = difference.markdown(REPORTS)
    assert " (before: 3 of 4 agents failed)" in page
    assert ("; 5 laptops fail that did not before" in page) == ("5 laptops" in sentence)


def test_of_a_row_that_cut_the_names_off_nothing_is_said_of_other_laptops() -> None:
    [old] = before = [failing(0, *"abcdefg")]
    assert old.verdict
    old.judged(replace(old.verdict, agents_failed="a, b…"))
    difference = Difference.of(*with_standings(before, [failing(0, *"hijk")]), DEFAULT)
    assert difference.sentence == "None of 1 tests broke with the change; 1 fails as before."


UNMEASURED = [
    *(VerdictName.NO_DATA, VerdictName.TIMED_OUT, Outcome.UNKNOWN, Outcome.UNREACHABLE),
    *(Outcome.QUOTA_EXHAUSTED, Outcome.SERVER_ERROR, Outcome.ACCEPTED, Outcome.FORBIDDEN),
]


@pytest.mark.parametrize("before", UNMEASURED)
def test_a_first_half_without_a_measurement_hides_no_outage(before: Ending) -> None:
    difference = Difference.of(*halves([before] * 2, [FAILED, VerdictName.NO_DATA]), DEFAULT)
    assert "test 0" in difference.sentence
    assert [one.test_name for one in difference.failing][:1] == ["test 0"]
    assert not difference.by_effect[Effect.BROKE]


@pytest.mark.parametrize("after", UNMEASURED[2:-2])
def test_a_test_that_was_not_measured_after_the_change_is_not_said_to_have_broken(
    after: Ending,
) -> None:
    difference = Difference.of(*halves([PASSED], [after]), DEFAULT)
    assert difference.by_effect[Effect.UNMEASURED]
    assert difference.sentence == (
        "None of 1 tests broke with the change; 1 was not measured after; failed by fail_on: "
        f"test 0 ({in_words(after)})."
    )


@pytest.mark.parametrize("after", UNMEASURED[:-2])
def test_a_test_that_failed_before_and_was_not_measured_after_fails_the_run(after: Ending) -> None:
    difference = Difference.of(*halves([FAILED], [after]), DEFAULT)
    assert difference.sentence == (
        "None of 1 tests broke with the change; 1 was not measured after; failed by fail_on: "
        f"test 0 ({in_words(after)})."
    )
    assert not difference.passed
    assert "## Not measured after the change\n" in difference.markdown(REPORTS)
    assert Difference.of(*halves([FAILED], [after]), []).passed


@pytest.mark.parametrize("before", UNMEASURED[:-1])
def test_a_test_that_was_not_measured_before_is_not_said_to_have_recovered(before: Ending) -> None:
    difference = Difference.of(*halves([before], [PASSED]), DEFAULT)
    assert difference.by_effect[Effect.WELL_AND_NEW]


@pytest.mark.parametrize("before", [PASSED, FAILED])
@pytest.mark.parametrize("name", UNMEASURED[:2])
def test_results_that_could_not_be_read_break_no_test(before: Ending, name: VerdictName) -> None:
    after = record(0, name)
    after.judged(replace(measured(name), unread=True))
    difference = Difference.of(*with_standings([record(0, before)], [after]), DEFAULT)
    assert difference.sentence == (
        "None of 1 tests broke with the change; 1 was not measured after; failed by fail_on: "
        f"test 0 ({in_words(name)})."
    )
    unread_before = Difference.of(*with_standings([after], [record(0, FAILED)]), DEFAULT)
    assert unread_before.by_effect[Effect.FAILS_AND_NEW]


def test_a_test_that_passes_with_far_fewer_agents_is_told_by_their_numbers() -> None:
    first, second = halves([PASSED] * 3, [PASSED] * 3)
    answered(first[0], 25)
    answered(second[0], 1)
    answered(first[1], 25)
    answered(second[1], 13)
    answered(first[2], 3)
    difference = Difference.of(first, second, DEFAULT)
    assert difference.sentence == (
        "None of 3 tests broke with the change; 3 are unchanged; far fewer agents answered for "
        "test 0 (1, 25 before)."
    )
    page = difference.markdown(REPORTS)
    assert "## Passed, although far fewer agents answered" in page
    assert "passed (1, 25 before)" in page
    assert "test 1" not in page


def test_verdicts_that_late_agents_may_change_are_counted_in_both_halves() -> None:
    first, second = halves([PASSED] * 3, [PASSED, FAILED, PASSED])
    for record in (first[0], *second[:2]):
        answered(record, 5, provisional=True)
    assert Difference.of(first, second, DEFAULT).sentence == (
        "1 of 3 tests broke with the change: test 1; 2 are unchanged; provisional verdicts: "
        "1 before, 2 after."
    )


ENDINGS = st.lists(st.sampled_from([*Outcome, *VerdictName]), max_size=8)


@given(before=ENDINGS, after=ENDINGS)
def test_each_test_is_counted_once_and_none_that_broke_passes(
    before: list[Ending], after: list[Ending]
) -> None:
    first, second = halves(before, after)
    difference = Difference.of(first, second, DEFAULT)
    counted = [one.test_id for records in difference.by_effect.values() for one in records]
    assert sorted(counted) == sorted({one.test_id for one in [*first, *second]})
    failing = {one.test_id for one in difference.failing}
    for effect in (Effect.BROKE, Effect.FAILS_AND_NEW):
        assert failing >= {one.test_id for one in difference.by_effect[effect]}
    assert difference.passed == (not failing)


@given(name=st.text(min_size=1, max_size=40))
def test_the_page_makes_nothing_of_what_a_test_is_called(name: str) -> None:
    first, second = halves([PASSED], [FAILED])
    second[0].named(name)
    page = Difference.of(first, second, DEFAULT).markdown(REPORTS)
    called = plain(isolated(second[0].test_name))
    assert f"- {called} (" in page or not called


def test_the_page_leads_to_both_halves_and_lists_what_broke_first() -> None:
    first, second = halves([PASSED, FAILED, PASSED, FAILED], [PASSED, PASSED, FAILED, FAILED])
    page = Difference.of(first, second, DEFAULT).markdown(REPORTS)
    headings = [line for line in page.splitlines() if line.startswith("## ")]
    assert headings == ["## Broke with the change", "## Fails as before", "## Recovered"]
    assert "[before the change](/b), [after the change](/a)" in page
    assert page.index("\n- test 2 ([2](") < page.index("\n- test 3 (") < page.index("\n- test 1 (")
    assert " (before: passed)" in page
    assert "test 0" not in page
