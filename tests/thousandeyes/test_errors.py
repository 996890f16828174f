import pickle

import pytest

from thousandeyes import errors
from thousandeyes.errors import CallFailed, InvalidTestIds, Refused, refusal
from thousandeyes.outcomes import Outcome

FINAL = [
    errors.Unreachable("no connection"),
    errors.ReplyLost("gone"),
    errors.QuotaExhausted("waited"),
    errors.RunStopped("stopped"),
    *(refusal(status)(f"{status}: no", status) for status in (401, 403, 404, 429, 400, 302, 500)),
]


@pytest.mark.parametrize("error", FINAL, ids=lambda error: type(error).__name__)
def test_every_error_names_an_outcome_and_survives_pickling(error: CallFailed) -> None:
    assert isinstance(error.outcome, Outcome)
    copy = pickle.loads(pickle.dumps(error))
    assert type(copy) is type(error)
    assert str(copy) == str(error)
    assert getattr(copy, "status", None) == getattr(error, "status", None)


@pytest.mark.parametrize("error", FINAL, ids=lambda error: type(error).__name__)
def test_only_what_may_pass_may_be_in_doubt(error: CallFailed) -> None:
    assert error.may_pass or not error.in_doubt


def test_a_refusal_says_what_the_api_said_and_nothing_else() -> None:
    error = Refused("404: no such test", 404)
    assert str(error) == "404: no such test"


def test_wrong_ids_are_value_errors_too() -> None:
    assert issubclass(InvalidTestIds, ValueError)
