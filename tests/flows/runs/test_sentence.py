from flows.rerun.options import RerunOptions
from flows.runs.sentence import passed_and_why
from tests.thousandeyes.test_record import verdict
from thousandeyes.outcomes import Outcome, VerdictName
from thousandeyes.record import Record

DEFAULT = RerunOptions().fail_on


def records(*outcomes: Outcome) -> list[Record]:
    return [Record(str(number), outcome=outcome) for number, outcome in enumerate(outcomes)]


def test_a_run_passes_when_all_is_accepted_or_skipped() -> None:
    assert passed_and_why(records(Outcome.ACCEPTED, Outcome.SKIPPED), DEFAULT) == (
        True,
        "1 of 2 tests accepted, 1 skipped.",
    )


def test_with_nothing_left_to_run_a_run_passes_and_says_so() -> None:
    assert passed_and_why([], DEFAULT) == (
        True,
        "No test is left to run: all of them ended well before.",
    )


def test_by_default_every_other_outcome_fails_it() -> None:
    for outcome in set(Outcome) - {Outcome.ACCEPTED, Outcome.SKIPPED}:
        passed, sentence = passed_and_why(records(Outcome.ACCEPTED, outcome), DEFAULT)
        assert (passed, sentence) == (False, f"1 of 2 tests accepted; failed for 1 {outcome}.")


def test_what_fails_it_what_is_let_pass_and_what_stopped_it_are_told_apart() -> None:
    outcomes = (Outcome.ACCEPTED, Outcome.NOT_FOUND, Outcome.NOT_FOUND, Outcome.UNKNOWN)
    passed, sentence = passed_and_why(records(*outcomes), [Outcome.UNKNOWN], "cancelled")
    assert not passed
    assert sentence == (
        "1 of 4 tests accepted; failed for 1 unknown; fail_on lets pass 2 not_found; "
        "stopped early: cancelled."
    )


def test_verdicts_are_counted_beside_what_was_accepted() -> None:
    judged = [Record(name, outcome=Outcome.ACCEPTED, verdict=verdict(name)) for name in VerdictName]
    passed, sentence = passed_and_why([*judged, *records(Outcome.ACCEPTED)], DEFAULT)
    assert not passed
    assert sentence == (
        "5 of 5 tests accepted, 1 passed; failed for 1 failed, 1 timed_out, 1 no_data."
    )
    passed, sentence = passed_and_why(judged, [VerdictName.FAILED])
    assert not passed
    assert sentence.endswith("failed for 1 failed; fail_on lets pass 1 timed_out, 1 no_data.")


def test_what_was_accepted_can_fail_a_run_whatever_was_measured() -> None:
    good = Record("1", outcome=Outcome.ACCEPTED, verdict=verdict(VerdictName.PASSED))
    assert passed_and_why([good], DEFAULT)[0]
    assert not passed_and_why([good], [Outcome.ACCEPTED])[0]


def test_with_an_empty_list_nothing_fails_it() -> None:
    assert passed_and_why(records(*Outcome), [])[0]


def test_it_can_fail_for_what_is_good_otherwise() -> None:
    assert not passed_and_why(records(Outcome.SKIPPED), [Outcome.SKIPPED])[0]
