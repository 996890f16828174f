"""The flow with what a Prefect server keeps for it: groups of tests and credentials."""

from typing import Any

import pytest
from pydantic import SecretStr

from flows.rerun import rerun_endpoint_tests
from tasks.blocks import EndpointTestGroup, ThousandEyesCredentials
from tests.flows.conftest import TOKEN
from tests.flows.scene import Simulate, ids, sent
from thousandeyes.errors import Outcome
from thousandeyes.settings import ThousandEyesSettings


async def save_group(name: str, *test_ids: str, **values: Any) -> None:
    group = EndpointTestGroup.model_validate({"test_ids": list(test_ids), **values})
    await group.save(name, overwrite=True)


@pytest.fixture
def only_in_a_block(simulate: Simulate, monkeypatch: pytest.MonkeyPatch) -> Simulate:
    """Serve a simulator whose address and token stand in the block `in-a-block` alone."""

    def start(**options: Any) -> Any:
        simulator = simulate(**options)
        url = ThousandEyesSettings().base_url
        for name in ("TE_TOKEN", "TE_BASE_URL"):
            monkeypatch.delenv(name)
        block = ThousandEyesCredentials(token=SecretStr(TOKEN), base_url=url)
        block.save("in-a-block", overwrite=True, _sync=True)  # type: ignore[call-arg]
        return simulator

    return start


async def test_ids_and_groups_are_run_in_one_run_each_test_once(simulate: Simulate) -> None:
    simulator = simulate(tests=ids(5))
    await save_group("morning", *ids(3), names={"202703": "Berlin VPN"})
    await save_group("evening", *ids(4)[2:])
    outcomes = await rerun_endpoint_tests(["202705", "202701"], ["evening, morning"])
    assert [record.test_id for record in outcomes] == [
        *("202705", "202701", "202703", "202704", "202702")
    ]
    assert {record.outcome for record in outcomes} == {Outcome.ACCEPTED}
    assert outcomes[2].test_name == "Berlin VPN"
    assert all(record.test_name for record in outcomes)  # the API lists the others' names
    assert set(sent(simulator).values()) == {1}
