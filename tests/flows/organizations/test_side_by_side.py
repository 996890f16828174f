"""What the runs of several organizations come to: a sentence, a summary, all their tests."""

from dataclasses import replace

from flows.organizations.side_by_side import Organization, conclude
from tasks.summary import markdown
from thousandeyes.outcomes import Outcome
from thousandeyes.record import Record

GOOD = Record("1", outcome=Outcome.ACCEPTED, attempts=1)
BAD = Record("2", outcome=Outcome.FORBIDDEN, attempts=1, detail="401: token refused")
EAST = Organization("east", ["a", "b"], [GOOD], passed=True, sentence="1 of 1 tests accepted.")
WEST = Organization("west", ["c"], [BAD], passed=False, sentence="0 of 1 tests accepted.")


def test_all_passed_when_each_did() -> None:
    report = conclude([EAST, EAST], "9 s")
    assert report.passed
    assert report.sentence == "2 of 2 organizations passed."


def test_the_sentence_names_those_that_failed_and_why() -> None:
    report = conclude([EAST, WEST], "9 s")
    assert not report.passed
    assert report.sentence == "1 of 2 organizations passed; west: 0 of 1 tests accepted."
    assert report.records == [GOOD, BAD]


def test_the_summary_has_a_line_for_each_and_the_tests_that_need_a_look() -> None:
    text = markdown(conclude([EAST, WEST], "9 s"), "/table")
    assert "| east | a, b | 1 | 1 of 1 tests accepted. |" in text
    assert text.index("| west | c | 1 |") < text.index("forbidden")
    assert "401: token refused" in text


def test_a_test_that_needs_a_look_says_which_organization_it_is_of() -> None:
    twice = replace(GOOD, test_name="Payroll", maybe_duplicate=True)
    east = replace(EAST, name="the worker's environment", records=[twice])
    text = markdown(conclude([east, WEST], "9 s"), "/table")
    assert "): forbidden, of west\n" in text
    assert "): accepted (may have run twice), of the worker's environment\n" in text


def test_of_a_dry_run_it_tells_what_each_found_those_that_failed_first() -> None:
    report = conclude([EAST, WEST], "9 s", dry_run=True)
    assert report.ended == "Failed."
    assert report.sentence == (
        "Dry run of 2 organizations; west: 0 of 1 tests accepted. east: 1 of 1 tests accepted."
    )
