from collections.abc import Sequence
from dataclasses import replace

from flows.rerun.options import RerunOptions
from flows.runs.sentence import passed_and_why
from tests.thousandeyes.test_record import verdict
from thousandeyes.outcomes import Outcome, VerdictName
from thousandeyes.record import Record
from thousandeyes.standing import Change, Standing

DEFAULT = RerunOptions().fail_on


def records(*outcomes: Outcome) -> list[Record]:
    return [Record(str(number), outcome=outcome) for number, outcome in enumerate(outcomes)]


def test_a_run_passes_when_all_is_accepted_or_skipped() -> None:
    assert passed_and_why(records(Outcome.ACCEPTED, Outcome.SKIPPED), DEFAULT) == (
        True,
        "1 of 2 tests accepted, 1 skipped.",
    )
    assert passed_and_why(records(Outcome.SKIPPED, Outcome.SKIPPED), DEFAULT) == (
        True,
        "0 of 2 tests accepted, 2 skipped.",
    )


def test_of_results_that_could_not_be_read_nothing_is_said_to_be_new() -> None:
    unread = replace(verdict(VerdictName.NO_DATA), unread=True)
    record = Record("0", outcome=Outcome.ACCEPTED, verdict=unread)
    record.stands(Standing(Change.UNCHANGED))
    told = "1 of 1 tests failed: 0 (no data)."
    assert passed_and_why([record], DEFAULT) == (False, told)
    assert passed_and_why([record], [Change.NEW_FAILURE]) == (False, told)


def test_with_nothing_left_to_run_a_run_passes_and_says_so() -> None:
    assert passed_and_why([], DEFAULT) == (
        True,
        "No test is left to run: all of them ended well before.",
    )


def test_by_default_every_other_outcome_fails_it() -> None:
    for outcome in set(Outcome) - {Outcome.ACCEPTED, Outcome.SKIPPED}:
        passed, sentence = passed_and_why(records(Outcome.ACCEPTED, outcome), DEFAULT)
        words = outcome.replace("_", " ")
        assert (passed, sentence) == (False, f"1 of 2 tests failed: 1 ({words}); 1 accepted.")


def test_what_fails_it_what_is_let_pass_and_what_stopped_it_are_told_apart() -> None:
    outcomes = (Outcome.ACCEPTED, Outcome.NOT_FOUND, Outcome.NOT_FOUND, Outcome.UNKNOWN)
    passed, sentence = passed_and_why(records(*outcomes), [Outcome.UNKNOWN], "cancelled")
    assert not passed
    assert sentence == (
        "1 of 4 tests failed: 3 (unknown); 1 accepted; "
        "tolerated by fail_on: 1 (not found), 2 (not found); stopped early: cancelled."
    )


def test_verdicts_are_counted_beside_what_was_accepted() -> None:
    judged = [Record(name, outcome=Outcome.ACCEPTED, verdict=verdict(name)) for name in VerdictName]
    passed, sentence = passed_and_why([*judged, *records(Outcome.ACCEPTED)], DEFAULT)
    assert not passed
    assert sentence == (
        "3 of 5 tests failed: failed, no_data (no data), timed_out (timed out); "
        "1 accepted, 1 passed."
    )
    passed, sentence = passed_and_why(judged, [VerdictName.FAILED])
    assert not passed
    assert sentence == (
        "1 of 4 tests failed: failed; 1 passed; "
        "tolerated by fail_on: no_data (no data), timed_out (timed out)."
    )


def test_what_was_accepted_can_fail_a_run_whatever_was_measured() -> None:
    good = Record("1", outcome=Outcome.ACCEPTED, verdict=verdict(VerdictName.PASSED))
    assert passed_and_why([good], DEFAULT)[0]
    assert not passed_and_why([good], [Outcome.ACCEPTED])[0]


def test_with_an_empty_list_nothing_fails_it() -> None:
    assert passed_and_why(records(*Outcome), [])[0]


def test_it_can_fail_for_what_is_good_otherwise() -> None:
    assert not passed_and_why(records(Outcome.SKIPPED), [Outcome.SKIPPED])[0]


def failed(test_id: str, name: str = "") -> Record:
    return Record(
        test_id, name, outcome=Outcome.ACCEPTED, verdict=verdict(VerdictName.FAILED), attempts=1
    )


def test_the_tests_that_failed_are_named_up_to_five_each_with_its_ending() -> None:
    five = [failed("1"), *(Record(str(number), outcome=Outcome.NOT_FOUND) for number in (2, 3, 4))]
    assert passed_and_why([*five, failed("5")], DEFAULT)[1] == (
        "5 of 5 tests failed: 1, 2 (not found), 3 (not found), 4 (not found), 5."
    )
    named = [failed("1", "Payroll over VPN (Berlin)"), failed("2", "Intranet (Vienna)")]
    good = Record("3", outcome=Outcome.ACCEPTED, verdict=verdict(VerdictName.PASSED))
    assert passed_and_why([*named, good], DEFAULT)[1] == (
        "2 of 3 tests failed: Payroll over VPN (Berlin), Intranet (Vienna); 1 passed."
    )
    many = [failed(str(number)) for number in range(6)]
    assert passed_and_why([*many, *records(Outcome.FORBIDDEN)], DEFAULT)[1] == (
        "7 of 7 tests did not end well (6 failed, 1 forbidden): 0, 1, 2, 3, 4 and 2 more."
    )


def test_of_many_the_worst_are_named_first() -> None:
    unsent = [Record(f"Later {number}") for number in range(8)]
    assert passed_and_why([*unsent, failed("Payroll")], DEFAULT)[1] == (
        "9 of 9 tests did not end well (1 failed, 8 not attempted): "
        "Payroll, Later 0, Later 1, Later 2, Later 3 and 4 more."
    )


def told(*changes: Change, more: Sequence[Record] = ()) -> str:
    """Return the sentence of a run in which tests failed after these changes."""
    bad = [failed(str(number)) for number in range(len(changes))]
    for record, change in zip(bad, changes, strict=True):
        record.stands(Standing(change, compared_with="before"))
    return passed_and_why([*bad, *more], DEFAULT)[1]


def test_it_tells_which_failures_are_new() -> None:
    new, old = Change.NEW_FAILURE, Change.STILL_FAILING
    assert told(new) == "1 of 1 tests failed (new): 0."
    assert told(new, new) == "2 of 2 tests failed, both new: 0, 1."
    assert told(new, new, new) == "3 of 3 tests failed, all new: 0, 1, 2."
    assert told(old) == "1 of 1 tests failed, as before: 0."
    assert told(old, old, old) == "3 of 3 tests failed, all as before: 0, 1, 2."
    assert told(old, old, new) == "3 of 3 tests failed, 1 of them new: 2 (new), 0, 1."
    assert told(*[old] * 5, new) == (
        "6 of 6 tests failed, 1 of them new: 5 (new), 0, 1, 2, 3 and 1 more."
    )


def test_a_failure_of_a_test_that_was_not_measured_before_is_not_called_new() -> None:
    new, old, unknown = Change.NEW_FAILURE, Change.STILL_FAILING, Change.NEW
    assert told(unknown) == "1 of 1 tests failed (not measured before): 0."
    assert told(unknown, unknown) == "2 of 2 tests failed, neither measured before: 0, 1."
    assert told(*[unknown] * 3) == "3 of 3 tests failed, none measured before: 0, 1, 2."
    assert told(old, unknown) == (
        "2 of 2 tests failed, 1 of them not measured before: 1 (not measured before), 0."
    )
    assert told(old, unknown, new) == (
        "3 of 3 tests failed, 1 of them new, 1 not measured before: "
        "2 (new), 1 (not measured before), 0."
    )


def test_where_no_run_was_compared_it_says_nothing_of_what_is_new() -> None:
    bad = failed("1")
    bad.stands(Standing(failing_runs=1))
    assert passed_and_why([bad], DEFAULT)[1] == "1 of 1 tests failed: 1."


def test_a_failure_from_before_is_let_pass_where_new_ones_alone_fail_the_run() -> None:
    bad = failed("1")
    bad.stands(Standing(Change.STILL_FAILING, compared_with="before"))
    assert passed_and_why([bad], [Change.NEW_FAILURE]) == (
        True,
        "0 of 1 tests passed; tolerated by fail_on: 1.",
    )
    assert not passed_and_why([failed("2")], [Change.NEW_FAILURE])[0], "nobody knows that it is old"


def test_of_tests_that_did_not_run_it_does_not_tell_that() -> None:
    unsent = Record("x")
    unsent.stands(Standing(Change.UNCHANGED, compared_with="before"))
    assert told(more=[unsent]) == "1 of 1 tests failed: x (not attempted)."
    assert told(Change.STILL_FAILING, more=[unsent]) == (
        "2 of 2 tests failed: 0, x (not attempted)."
    )
    assert told(Change.NEW_FAILURE, more=[unsent]) == (
        "2 of 2 tests failed, 1 of them new: 0 (new), x (not attempted)."
    )


def test_a_run_in_which_all_passed_says_that() -> None:
    good = Record("1", outcome=Outcome.ACCEPTED, verdict=verdict(VerdictName.PASSED))
    assert passed_and_why([good, good], DEFAULT) == (True, "2 of 2 tests passed.")
    unmeasured = records(Outcome.ACCEPTED)
    assert passed_and_why([good, *unmeasured], DEFAULT) == (True, "2 of 2 tests accepted.")


def test_verdicts_that_late_laptops_may_change_are_counted() -> None:
    early = replace(verdict(VerdictName.PASSED), provisional=True)
    one = Record("1", outcome=Outcome.ACCEPTED, verdict=early)
    final = Record("2", outcome=Outcome.ACCEPTED, verdict=verdict(VerdictName.PASSED))
    assert passed_and_why([one, final], DEFAULT) == (
        True,
        "2 of 2 tests passed; 1 verdict is provisional.",
    )
    assert passed_and_why([one, one], DEFAULT, "cancelled")[1] == (
        "2 of 2 tests passed; 2 verdicts are provisional; stopped early: cancelled."
    )


def test_no_punctuation_is_doubled() -> None:
    _, sentence = passed_and_why(records(Outcome.ACCEPTED), DEFAULT, "the server is away.")
    assert sentence == "1 of 1 tests accepted; stopped early: the server is away."
    _, asks = passed_and_why(records(Outcome.ACCEPTED), DEFAULT, "is the token expired?")
    assert asks == "1 of 1 tests accepted; stopped early: is the token expired?"


def test_a_name_that_runs_right_to_left_moves_no_number_of_the_sentence() -> None:
    """Drawn without the isolates around the name, it reads `10 ;3 passed`."""
    name = "רשת VPN (רמת גן) 3"
    several = [Record("1", name, Outcome.NOT_FOUND), *records(*[Outcome.ACCEPTED] * 10)]
    assert passed_and_why(several, DEFAULT)[1] == (
        f"1 of 11 tests failed: \u2068{name}\u2069 (not found); 10 accepted."
    )
    hostile = Record("1", f"\u2066\u202e{name}\u2069\u2069", Outcome.NOT_FOUND)
    assert passed_and_why([hostile, *several[1:]], DEFAULT) == passed_and_why(several, DEFAULT)
