"""A run's report in Prefect."""

from collections.abc import Callable
from typing import Any
from uuid import UUID

import httpx
import pytest
from prefect import flow, runtime
from prefect.exceptions import PrefectHTTPStatusError

import tasks.publication
from tasks.publication import deployment_slug, publish
from tests.flows.scene import TABLE, artifacts_of
from tests.tasks.reports import record, report
from thousandeyes.outcomes import Outcome


@pytest.mark.parametrize(
    ("name", "slug"),
    [
        (None, "local"),
        ("nightly", "nightly"),
        ("Nightly: München!", "nightly-m-nchen"),
        ("***", "local"),
    ],
)
def test_a_deployments_name_becomes_part_of_a_key(
    monkeypatch: pytest.MonkeyPatch, name: str | None, slug: str
) -> None:
    class Deployment:
        pass

    monkeypatch.setattr(Deployment, "name", name, raising=False)
    monkeypatch.setattr(runtime, "deployment", Deployment)
    assert deployment_slug() == slug


@pytest.mark.usefixtures("prefect_server")
async def test_a_summary_that_prefect_refuses_costs_neither_the_table_nor_the_run(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(tasks.publication, "create_markdown", refusing(422))

    @flow
    async def publishing() -> str:
        await publish(report(record("1", Outcome.ACCEPTED)), "local")
        return str(runtime.flow_run.id)

    assert set(await artifacts_of(UUID(await publishing()))) == {TABLE}
    assert "Prefect refuses the summary: PrefectHTTPStatusError: 422" in caplog.text


def refusing(status: int) -> Callable[..., Any]:
    async def refuse(*_: object) -> None:
        request = httpx.Request("POST", "http://prefect/api/artifacts/")
        raise PrefectHTTPStatusError(
            str(status), request=request, response=httpx.Response(status, request=request)
        )

    return refuse
