"""A test's last runs as a row of marks."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from thousandeyes import marks
from thousandeyes.outcomes import MEANING, Outcome, VerdictName


@pytest.mark.parametrize("ending", MEANING)
def test_every_ending_has_a_mark(ending: Outcome | VerdictName) -> None:
    assert marks.mark(ending) in marks.MEANING


def test_the_four_marks_tell_apart_what_a_reader_does_about_them() -> None:
    assert marks.mark(VerdictName.PASSED) == marks.mark(Outcome.ACCEPTED) == "✓"
    assert marks.mark(VerdictName.FAILED) == marks.mark(Outcome.NOT_FOUND) == "✗"
    assert marks.mark(VerdictName.NO_DATA) == marks.mark(VerdictName.TIMED_OUT) == "○"
    assert marks.mark(Outcome.NOT_ATTEMPTED) == marks.mark(Outcome.SKIPPED) == "·"


histories = st.text("".join(marks.MEANING), max_size=marks.MOST_RUNS)
newest = st.sampled_from(list(marks.MEANING))


@given(histories, newest)
@example(marks.FAILED + marks.PASSED * (marks.MOST_RUNS - 1), marks.PASSED)
def test_the_newest_stands_at_the_right_and_the_oldest_of_many_goes(
    history: str, mark: str
) -> None:
    longer = marks.continued(history, mark)
    assert longer.endswith(mark)
    assert len(longer) == min(len(history) + 1, marks.MOST_RUNS)
    assert (history + mark).endswith(longer)


@given(histories, newest, newest)
def test_a_run_that_is_judged_again_has_one_mark(history: str, mark: str, again: str) -> None:
    told = marks.continued(history, mark)
    assert marks.marked_anew(told, again) == marks.continued(history, again)


@given(histories)
def test_a_history_is_read_as_it_was_written(history: str) -> None:
    assert marks.read(history) == history


@given(st.text() | st.integers() | st.none())
def test_anything_else_is_read_as_marks_too(text: object) -> None:
    assert set(marks.read(text)) <= set(marks.MEANING)
    assert len(marks.read(text)) <= marks.MOST_RUNS
