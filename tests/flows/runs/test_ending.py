import pickle
from typing import NoReturn

import pytest
from prefect import flow

from flows.create import CreationFailed
from flows.rerun import RerunFailed
from flows.runs.ending import RunFailed, telling_mistakes
from thousandeyes.errors import SettingsError
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


@telling_mistakes
async def mistaken() -> NoReturn:
    raise SettingsError("no group named 'x'. Nothing was sent.")


@pytest.mark.usefixtures("prefect_server")
async def test_a_mistake_ends_a_run_with_its_sentence_and_without_a_traceback(
    caplog: pytest.LogCaptureFixture,
) -> None:
    state = await flow(mistaken)(return_state=True)
    assert state.is_failed()
    assert state.message == "no group named 'x'. Nothing was sent."
    assert not any(record.exc_info for record in caplog.records)


@pytest.mark.usefixtures("prefect_server")
@pytest.mark.parametrize("retries", [0, 1])
async def test_it_is_raised_in_the_caller_of_the_flow(retries: int) -> None:
    with pytest.raises(SettingsError, match="no group named"):
        await flow(retries=retries)(mistaken)()


async def test_so_it_is_in_the_caller_of_its_function() -> None:
    with pytest.raises(SettingsError, match="no group named"):
        await flow(mistaken).fn()
