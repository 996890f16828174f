import pickle

import pytest

from flows.create import CreationFailed
from flows.rerun import RerunFailed
from flows.runs.ending import RunFailed
from thousandeyes.outcomes import Outcome
from thousandeyes.record import Record


@pytest.mark.parametrize("failure", [RerunFailed, CreationFailed])
def test_the_error_keeps_its_outcomes_when_it_travels(failure: type[RunFailed]) -> None:
    failed = failure("why.", [Record("1", outcome=Outcome.UNKNOWN)])
    copy = pickle.loads(pickle.dumps(failed))
    assert (type(copy), str(copy), copy.outcomes) == (failure, "why.", failed.outcomes)


def test_a_failed_creation_is_no_failed_rerun() -> None:
    assert not issubclass(CreationFailed, RerunFailed)
    assert not issubclass(RerunFailed, CreationFailed)
