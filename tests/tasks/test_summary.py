"""The page that people read of a run."""

from dataclasses import replace

import pytest

from tasks.summary import markdown
from tests.tasks.reports import TEST, judged, network, record, report
from thousandeyes.judging import judge
from thousandeyes.outcomes import MEANING, Outcome
from thousandeyes.thresholds import Thresholds

pytestmark = pytest.mark.usefixtures("prefect_ui")


def test_the_summary_reads_from_the_verdict_to_what_needs_a_look() -> None:
    text = markdown(
        report(
            record("1", Outcome.ACCEPTED),
            record("2", Outcome.NOT_FOUND, test_name="Berlin", detail="404: Not Found"),
            record("3", Outcome.UNKNOWN, detail="cut", attempts=4, maybe_duplicate=True),
            record("4", Outcome.NOT_ATTEMPTED, attempts=0, detail="cancelled"),
            record("5", Outcome.ACCEPTED, attempts=2, maybe_duplicate=True, detail="fine"),
            sentence="2 of 5 tests accepted; failed for 1 not_found.",
        ),
        "/artifacts/key/the-table",
    )
    assert text == (
        "**Failed.** 2 of 5 tests accepted; failed for 1 not_found.\n"
        "\n"
        "## Needs a look\n"
        "\n"
        f"- [3]({TEST}3): unknown after 4 attempts (may have run twice)\n"
        "\n"
        "  Why: cut.\n"
        "\n"
        f"- Berlin ([2]({TEST}2)): not found\n"
        "\n"
        "  Why: 404: Not Found.\n"
        "\n"
        "- 4: not attempted\n"
        "\n"
        "  Why: cancelled.\n"
        "\n"
        "## Ended well, but may have run twice\n"
        "\n"
        f"- [5]({TEST}5): accepted after 2 attempts (may have run twice)\n"
        "\n"
        "  Why: fine.\n"
        "\n"
        "[The tests of this run, as a table](/artifacts/key/the-table)\n"
        "\n"
        "It took 4 minutes.\n"
        "\n"
        f"- 1 unknown: {MEANING[Outcome.UNKNOWN]}\n"
        f"- 1 not found: {MEANING[Outcome.NOT_FOUND]}\n"
        f"- 1 not attempted: {MEANING[Outcome.NOT_ATTEMPTED]}\n"
        f"- 2 accepted: {MEANING[Outcome.ACCEPTED]}\n"
    )


def test_a_run_without_anything_to_look_at_says_so_by_leaving_it_out() -> None:
    text = markdown(report(record("1", Outcome.ACCEPTED), passed=True), "/t")
    assert text.startswith("**Passed.** Why.\n")
    assert "Needs a look" not in text


def test_what_failing_laptops_share_stands_right_after_the_sentence() -> None:
    one = replace(report(record("1", Outcome.ACCEPTED)), in_common="9 of the 10 on Guest_7*F*.")
    text = markdown(one, "/t")
    assert text.startswith("**Failed.** Why.\n\n9 of the 10 on Guest_7\\*F\\*.\n\n[The tests")


def test_the_summary_names_the_tests_whose_verdict_may_change_with_how_many_answered() -> None:
    early = judge([network("a", 0)], Thresholds(), expected=25, complete=True, too_early=True)
    unknown = replace(early, agents_expected=None)
    records = [
        record("1", Outcome.ACCEPTED, test_name="VPN *", verdict=early),
        record("2", Outcome.ACCEPTED, verdict=unknown),
        record("4", Outcome.ACCEPTED, test_name="רשת 3", verdict=early),
        judged("3", network("a", 0)),
    ]
    text = markdown(report(*records), "/t")
    assert text.startswith(
        "**Failed.** Why.\n\n3 verdicts are provisional, since not all results are in: "
        "VPN \\* (1 of 25 answered), 2, \u2068רשת 3\u2069 (1 of 25 answered). A quarter of an hour "
        "after the run, start the deployment `judge-again` to make them final, unless an "
        "automation does so.\n\n"
    )
    assert "provisional" not in markdown(report(*records[3:]), "/t")
