"""One test in a summary."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.artifacts import description
from tasks.entries import LARGEST_LIST
from tasks.markdown import plain
from tasks.report import counts, failures_first
from tasks.rows import in_run_table, values_of
from tasks.summary import markdown
from tests.tasks.reports import HOSTILE, TEST, judged, network, record, report
from thousandeyes.judging import judge
from thousandeyes.outcomes import Outcome
from thousandeyes.record import Record
from thousandeyes.standing import Standing
from thousandeyes.text import isolated, with_full_stop
from thousandeyes.thresholds import Thresholds

pytestmark = pytest.mark.usefixtures("prefect_ui")


def test_what_was_measured_stands_before_what_became_of_the_call() -> None:
    link = "https://app.thousandeyes.com/view/endpoint-agent?testId=3"
    lost = [network(f"laptop-{number}", 100) for number in range(5)]
    records = [
        judged("1", network("a", 0)),
        record("2", Outcome.UNKNOWN, detail="cut"),
        judged("3", *lost, app_link=link),
        judged("4"),
        record("5", Outcome.ACCEPTED),
    ]
    assert [one.test_id for one in failures_first(records)] == ["3", "2", "4", "5", "1"]
    assert counts(records) == "1 failed, 1 unknown, 1 no data, 1 accepted, 1 passed"
    text = markdown(report(*records), "/t")
    looked_at = text.partition("## Needs a look")[2].splitlines()
    endings = [line.partition("): ")[2] for line in looked_at if "endpoint-test-" in line]
    assert endings == ["failed", "unknown", "no data"]
    why, laptops, results = (line.strip() for line in looked_at[4:9:2])
    assert why == (
        "Why: 5 of 5 agents failed (20 more did not answer), all with 100 % loss, such as laptop-0."
    )
    told = "laptop-0, laptop-1, laptop-2, laptop-3, laptop-4"
    assert laptops == f"Laptops that failed: {told}."
    assert results == f"[Results in ThousandEyes]({link})"


def test_a_link_to_results_and_last_runs_are_told_where_there_are_any() -> None:
    link = "https://app.thousandeyes.com/view/endpoint-agent?testId=1"
    once, twice = record("1", Outcome.NOT_FOUND, app_link=link), record("2", Outcome.NOT_FOUND)
    once.stands(Standing(history="✗"))
    twice.stands(Standing(history="✓✗"))
    text = markdown(report(once, twice), "/t").partition("## History")[0]
    assert link not in text, "nothing was measured"
    assert text.count("Last ") == text.count("Last 2 runs, the newest at the right: ✓✗") == 1


@given(st.text() | st.just(HOSTILE))
def test_words_from_anywhere_stay_words(words: str) -> None:
    hostile = record("1", Outcome.INVALID, test_name=words, detail=words)
    text = markdown(report(hostile, sentence=words), "/t")
    lines = text.split("\n")
    assert len(lines) == (14 if plain(words) else 12)
    assert text.splitlines() == lines[:-1]
    [line] = [line for line in lines if "endpoint-test-1" in line]
    matched = re.fullmatch(rf"- (?:(.+) \()?\[1\]\({re.escape(TEST)}1\)\)?: invalid", line)
    assert matched
    whys = [line.removeprefix("  Why: ") for line in lines if line.startswith("  Why: ")]
    assert [matched[1] or "", lines[0].removeprefix("**Failed.** ")] == [
        plain(isolated(words)),
        plain(words),
    ]
    assert whys == [with_full_stop(plain(words))] * bool(plain(words))


def test_names_that_run_right_to_left_are_isolated_from_ids_and_numbers() -> None:
    name, laptop = "\u2068רשת VPN (רמת גן) 3\u2069", "\u2068דנה-5\u2069"
    told: list[Record] = []
    for hosts in (["3"], ["3", *"abcd"]):
        rows, names = [network(host, 100) for host in hosts], {"3": "דנה-5"}
        verdict = judge(rows, Thresholds(), expected=5, complete=True, agent_names=names)
        told.append(record(str(len(told)), Outcome.ACCEPTED, verdict=verdict))
    for one in told:
        one.named(name)
        one.traced("The path of דנה-5 ends at hop 3")
        one.stands(Standing(history="✓✗"))
    text = markdown(report(*told), "/t")
    assert f"- {name} ([0]({TEST}0)): failed" in text
    assert f"Why: 1 of 1 agents failed (4 more did not answer), {laptop}: 100 % loss." in text
    assert f"Laptops that failed: a, b, c, d, {laptop}." in text
    assert text.count(f"The path of {laptop} ends at hop 3.") == len(told)
    assert f": {name} in 1 of 2 runs; {name} in 1 of 2 runs.](data:" in text
    assert report(*told).first_reason.startswith(f"{name}: 1 of 1 agents failed")
    assert f", {laptop}: 100 % loss" in description(told[0])
    assert description(told[0]).startswith(f"{name}: failed. 1 of 1 agents failed")
    assert "\u2068" not in str(
        [in_run_table(one) for one in told] + [values_of(one) for one in told]
    )


def test_the_list_is_capped_and_the_rest_counted() -> None:
    records = [record(str(n), Outcome.FORBIDDEN) for n in range(LARGEST_LIST + 7)]
    text = markdown(report(*records, record("x", Outcome.UNKNOWN)), "/t")
    assert text.count("/endpoint-test-") == LARGEST_LIST
    assert "[x](http://prefect/artifacts/key/endpoint-test-x)" in text
    assert "\nand 8 more: 8 forbidden.\n" in text
