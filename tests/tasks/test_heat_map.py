"""A run's tests and their last runs as one picture, and the words that say the same."""

import base64
import re
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.heat_map import MOST_TESTS, alt_text, picture, section
from tasks.markdown import plain
from tests.tasks.reports import HOSTILE
from thousandeyes import marks
from thousandeyes.outcomes import Outcome
from thousandeyes.record import Record
from thousandeyes.standing import Standing

EVENT_LIMIT = 1_500_000
SVG = "{http://www.w3.org/2000/svg}"


def told(test_id: str, history: str, name: str = "") -> Record:
    """Return a test with these last runs, which ended as the newest mark has it."""
    outcome = {
        marks.PASSED: Outcome.ACCEPTED,
        marks.FAILED: Outcome.NOT_FOUND,
        marks.NO_DATA: Outcome.UNKNOWN,
        marks.NOT_SENT: Outcome.SKIPPED,
    }[history[-1]]
    record = Record(test_id, name, outcome)
    record.stands(Standing(history=history))
    return record


def read(svg: str) -> tuple[list[str], int]:
    """Return the names in a picture, and how many marks are in it, those of its legend left out."""
    root = ElementTree.fromstring(svg)
    [names] = root.findall(f"{SVG}svg")
    forms = sum(str(path.get("d")).count("M") for path in root.findall(f"{SVG}path"))
    return [str(text.text) for text in names], forms - len(marks.MEANING)


def shown(lines: list[str]) -> str:
    """Return the picture that the Markdown holds."""
    [found] = [one for one in lines if one.startswith("![")]
    matched = re.fullmatch(r"!\[.*\]\(data:image/svg\+xml;base64,([\w+/=]+)\)", found)
    assert matched
    return base64.b64decode(matched[1]).decode()


@pytest.mark.parametrize(("runs", "headings"), [(4, 1), (6, 1), (7, 2), (30, 2)])
def test_the_headings_of_few_columns_do_not_overlap(runs: int, headings: int) -> None:
    root = ElementTree.fromstring(picture([told("1", marks.PASSED * runs)], runs))
    texts = [text.text for text in root.findall(f"{SVG}text")]
    assert texts[:headings] == ["older", "this run"][-headings:]
    assert "older" not in texts[headings:]


histories = st.text("".join(marks.MEANING), min_size=1, max_size=marks.MOST_RUNS)


@given(st.lists(st.tuples(st.text() | st.just(HOSTILE), histories), min_size=1, max_size=9))
def test_it_has_a_name_for_each_test_and_a_form_for_each_of_its_runs(
    tests: list[tuple[str, str]],
) -> None:
    records = [told(f"t{n}", history, name) for n, (name, history) in enumerate(tests)]
    names, forms = read(picture(records, max(len(history) for _, history in tests)))
    assert len(names) == len(tests)
    assert forms == sum(len(history) for _, history in tests)


def test_failing_tests_come_first_and_then_those_that_failed_most_often() -> None:
    records = [
        told("1", "✓✓✓✓", "never"),
        told("2", "✓✗✓✓", "once"),
        told("3", "✗✗✓✓", "twice"),
        told("4", "✗", "now"),
        told("5", "✗✗✗✗", "always"),
        Record("6", "not compared"),
    ]
    assert read(shown(section(records)))[0] == ["now", "always", "twice", "once", "never"]


def test_the_newest_runs_of_all_tests_stand_below_each_other() -> None:
    root = ElementTree.fromstring(picture([told("1", "✓✗"), told("2", "✗")], 2))
    failed = str(root.findall(f"{SVG}path")[list(marks.MEANING).index(marks.FAILED)].get("d"))
    (newest, _), (other, _), *_ = re.findall(r"M(\d+) (\d+)", failed)
    assert newest == other


@pytest.mark.parametrize("letter", ["\ufffe", "\uffff"], ids=ascii)
def test_a_letter_that_no_xml_may_hold_breaks_no_picture(letter: str) -> None:
    assert read(picture([told("1", "✓✗", f"VPN{letter}")], 2))[0] == ["VPN?"]


def test_the_words_say_what_the_picture_says() -> None:
    records = [told("1", "✓✗✗○", "VPN"), told("2", "✓✗", "a [link](x)"), told("3", "✓✓✓·")]
    assert alt_text(records, 4) == (
        "Heat map of 3 tests over 4 runs, the newest at the right. This run: 1 failed, 1 no data, "
        "1 not sent. Failed or without data: VPN in 3 of 4 runs; 2 in 1 of 2 runs."
    )
    alone = alt_text([told("1", "✓✓")], 2)
    assert alone.startswith("Heat map of 1 test over 2 runs, ")
    assert alone.endswith("This run: 1 passed. None failed.")


@given(st.text() | st.just(HOSTILE))
def test_the_words_are_the_same_as_markdown_and_as_text(name: str) -> None:
    words = alt_text([told("1", "✗✗", name)], 2)
    assert plain(words) == words


def test_before_a_second_run_there_is_no_picture() -> None:
    assert section([told("1", "✓"), Record("2")]) == []


def test_it_shows_fifty_tests_and_thirty_runs_and_counts_the_rest() -> None:
    many = [told(str(n), "✓✗○·" * 8, HOSTILE * 9) for n in range(500)]
    for record in many:
        record.stands(Standing(history=marks.read(record.standing and record.standing.history)))
    lines = section(many)
    names, forms = read(shown(lines))
    assert (len(names), forms) == (MOST_TESTS, MOST_TESTS * marks.MOST_RUNS)
    assert "Not shown: 450 more tests." in lines[2]
    assert len("".join(lines)) < EVENT_LIMIT / 20
