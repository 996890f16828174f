import pickle

from flows.rerun.options import RerunOptions
from flows.rerun.verdict import RerunFailed, judge
from thousandeyes.errors import Outcome
from thousandeyes.rerun import Rerun

DEFAULT = RerunOptions().fail_on


def records(*outcomes: Outcome) -> list[Rerun]:
    return [Rerun(str(number), outcome=outcome) for number, outcome in enumerate(outcomes)]


def test_a_run_passes_when_all_is_accepted_or_skipped() -> None:
    assert judge(records(Outcome.ACCEPTED, Outcome.SKIPPED), DEFAULT) == (
        True,
        "1 of 2 tests accepted.",
    )


def test_by_default_every_other_outcome_fails_it() -> None:
    for outcome in set(Outcome) - {Outcome.ACCEPTED, Outcome.SKIPPED}:
        passed, sentence = judge(records(Outcome.ACCEPTED, outcome), DEFAULT)
        assert (passed, sentence) == (False, f"1 of 2 tests accepted; failed for 1 {outcome}.")


def test_what_fails_it_what_is_let_pass_and_what_stopped_it_are_told_apart() -> None:
    outcomes = (Outcome.ACCEPTED, Outcome.NOT_FOUND, Outcome.NOT_FOUND, Outcome.UNKNOWN)
    passed, sentence = judge(records(*outcomes), [Outcome.UNKNOWN], "cancelled")
    assert not passed
    assert sentence == (
        "1 of 4 tests accepted; failed for 1 unknown; fail_on lets pass 2 not_found; "
        "stopped early: cancelled."
    )


def test_with_an_empty_list_nothing_fails_it() -> None:
    assert judge(records(*Outcome), [])[0]


def test_it_can_fail_for_what_is_good_otherwise() -> None:
    assert not judge(records(Outcome.SKIPPED), [Outcome.SKIPPED])[0]


def test_the_error_keeps_its_outcomes_when_it_travels() -> None:
    failed = RerunFailed("why.", records(Outcome.UNKNOWN))
    copy = pickle.loads(pickle.dumps(failed))
    assert (str(copy), copy.outcomes) == ("why.", failed.outcomes)
