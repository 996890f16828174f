"""The flow with what a Prefect server keeps for it: groups of tests and credentials."""

from typing import Any

import pytest
from prefect import get_client
from prefect.client.schemas.objects import State
from prefect.flow_engine import run_flow
from prefect.states import Crashed
from pydantic import SecretStr

import flows.rerun.attempt
import flows.rerun.sources
from flows.rerun import RerunFailed, RerunOptions, rerun_endpoint_tests
from flows.rerun.run import Run
from tasks.artifacts import read_outcomes
from tasks.blocks import EndpointTestGroup, ThousandEyesCredentials
from tasks.loading import load_groups
from tests.flows.conftest import TOKEN
from tests.flows.scene import SUMMARY, Simulate, artifacts_of, ids, sent
from thousandeyes.errors import InvalidTestIds, SettingsError
from thousandeyes.outcomes import Outcome
from thousandeyes.settings import ThousandEyesSettings
from thousandeyes.simulator import Fault
from thousandeyes.thresholds import Thresholds

pytestmark = pytest.mark.usefixtures("prefect_server")


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


async def test_a_form_s_choice_is_known_by_name_and_no_token_comes_with_it(
    only_in_a_block: Simulate, caplog: pytest.LogCaptureFixture
) -> None:
    simulator = only_in_a_block(tests=ids(2))
    await save_group("chosen", *ids(2))
    group: EndpointTestGroup = await EndpointTestGroup.aload("chosen")
    credentials: ThousandEyesCredentials = await ThousandEyesCredentials.aload("in-a-block")
    # As the one UI writes it, and as the other.
    chosen = {
        "groups": {"$ref": {"block_document_id": str(group._block_document_id)}},
        "credentials": {"$ref": str(credentials._block_document_id)},
    }
    async with get_client() as client:
        run = await client.create_flow_run(rerun_endpoint_tests, parameters=chosen)
        await run_flow(rerun_endpoint_tests, flow_run=run)  # type: ignore[misc]
        run = await client.read_flow_run(run.id)
    assert sorted(map(str, sent(simulator))) == ids(2)
    assert run.parameters == {"groups": ["chosen"], "credentials": "in-a-block"}
    assert run.tags == ["chosen"]
    assert TOKEN not in caplog.text + run.model_dump_json()


async def test_a_form_s_choice_is_known_by_name_also_of_a_run_that_fails_before_it_sends(
    simulate: Simulate,
) -> None:
    simulator = simulate(tests=ids(1))
    await save_group("chosen", *ids(1))
    group: EndpointTestGroup = await EndpointTestGroup.aload("chosen")
    wrong = {"test_ids_file": "lost.txt"}
    chosen = {"groups": {"$ref": str(group._block_document_id)}, "options": wrong}
    async with get_client() as client:
        run = await client.create_flow_run(rerun_endpoint_tests, parameters=chosen)
        await run_flow(rerun_endpoint_tests, flow_run=run, return_type="state")  # type: ignore[misc]
        run = await client.read_flow_run(run.id)
    assert run.state
    assert run.state.is_failed()
    assert run.parameters == {"groups": ["chosen"], "options": wrong}
    assert sent(simulator) == {}


async def test_a_groups_tests_are_sent_in_its_account_group(
    simulate: Simulate, monkeypatch: pytest.MonkeyPatch
) -> None:
    simulate(tests=ids(4), aid="1234")
    monkeypatch.setenv("TE_AID", "999")
    await save_group("at-home", *ids(2), aid="1234")
    await save_group("anywhere", "202703")
    with pytest.raises(RerunFailed) as failed:
        await rerun_endpoint_tests(["202704"], ["at-home", "anywhere"])
    assert [(record.test_id, record.outcome, record.aid) for record in failed.value.outcomes] == [
        ("202704", Outcome.FORBIDDEN, None),
        ("202701", Outcome.ACCEPTED, "1234"),
        ("202702", Outcome.ACCEPTED, "1234"),
        ("202703", Outcome.FORBIDDEN, None),
    ]


async def test_the_results_of_a_groups_tests_are_judged_by_its_thresholds(
    simulate: Simulate, monkeypatch: pytest.MonkeyPatch
) -> None:
    simulate(tests=ids(2))
    strict = Thresholds(max_loss_percent=1)
    await save_group("strict", "202701", thresholds=strict.model_dump())
    judged_by = []

    def noting(*arguments: Any, **named: Any) -> Run:
        judged_by.append(arguments[4])
        return Run(*arguments, **named)

    monkeypatch.setattr(flows.rerun.attempt, "Run", noting)
    await rerun_endpoint_tests(["202702"], ["strict"])
    assert judged_by == [{"202701": strict}]


async def test_the_credentials_of_a_run_come_from_the_block_that_it_names(
    only_in_a_block: Simulate, monkeypatch: pytest.MonkeyPatch
) -> None:
    only_in_a_block(tests=ids(2))
    monkeypatch.setenv("TE_AID", "of-another-organization")
    outcomes = await rerun_endpoint_tests(ids(2), credentials=" in-a-block ")
    assert {record.outcome for record in outcomes} == {Outcome.ACCEPTED}


@pytest.mark.parametrize(("test_ids", "pattern"), [([TOKEN], None), ([], f"{TOKEN}*")])
async def test_their_token_in_place_of_a_test_or_a_pattern_is_refused_and_not_repeated(
    only_in_a_block: Simulate, test_ids: list[str], pattern: str | None
) -> None:
    simulator, options = only_in_a_block(tests=ids(2)), RerunOptions(name_pattern=pattern)
    with pytest.raises((SettingsError, InvalidTestIds), match="contains an API token") as caught:
        await rerun_endpoint_tests(test_ids, credentials="in-a-block", options=options)
    assert TOKEN not in str(caught.value)
    assert simulator.calls == []


async def test_a_run_that_names_no_tests_has_the_credentials_of_the_one_it_narrows_down(
    only_in_a_block: Simulate,
) -> None:
    only_in_a_block(tests=ids(1))
    wrong = ThousandEyesCredentials(token=SecretStr("another"))
    await wrong.save("of-another", overwrite=True)
    for then, own in (("in-a-block", None), ("of-another", "in-a-block")):
        async with get_client() as client:
            earlier = await client.create_flow_run(
                rerun_endpoint_tests,
                parameters={"test_ids": ids(1), "credentials": then},
                state=Crashed(),
            )
        options = RerunOptions(only_failed_of=str(earlier.id))
        [outcome] = await rerun_endpoint_tests(credentials=own, options=options)
        assert outcome.outcome is Outcome.ACCEPTED


async def test_the_credentials_of_a_group_are_used_for_all_tests_of_the_run(
    only_in_a_block: Simulate,
) -> None:
    only_in_a_block(tests=ids(2))
    await save_group("with-credentials", "202701", credentials="in-a-block")
    outcomes = await rerun_endpoint_tests(["202702"], ["with-credentials"])
    assert {record.outcome for record in outcomes} == {Outcome.ACCEPTED}


async def test_groups_of_different_credentials_are_refused_before_anything_is_sent(
    simulate: Simulate,
) -> None:
    simulator = simulate(tests=ids(2))
    await save_group("of-one", "202701", credentials="one")
    await save_group("of-two", "202702", credentials="two")
    with pytest.raises(SettingsError, match=r"different credentials \(one for of-one, two for of"):
        await rerun_endpoint_tests(groups=["of-one", "of-two"])
    assert simulator.calls == []


async def test_blocks_that_are_not_there_are_told_in_one_error_before_anything_is_sent(
    simulate: Simulate,
) -> None:
    simulator = simulate(tests=ids(2))
    with pytest.raises(SettingsError) as caught:
        await rerun_endpoint_tests(ids(2), ["lost", "forgotten"], "mislaid")
    assert "no Endpoint Test Group block named 'lost', 'forgotten'" in str(caught.value)
    assert "no ThousandEyes Credentials block named 'mislaid'" in str(caught.value)
    assert simulator.calls == []


async def test_when_only_the_credentials_are_not_there_no_test_is_lost_from_the_report(
    simulate: Simulate,
) -> None:
    simulator = simulate(tests=ids(2))
    state: State[Any] = await rerun_endpoint_tests(ids(2), credentials="mislaid", return_state=True)
    with pytest.raises(SettingsError, match="no ThousandEyes Credentials block named 'mislaid'"):
        await state.result()
    flow_run_id = state.state_details.flow_run_id
    assert flow_run_id
    assert SUMMARY in await artifacts_of(flow_run_id)
    assert [record.outcome for record in await read_outcomes([flow_run_id])] == [
        Outcome.NOT_ATTEMPTED
    ] * 2
    assert simulator.calls == []


async def test_with_neither_ids_nor_groups_the_run_says_what_to_name(simulate: Simulate) -> None:
    simulator = simulate(tests=ids(1))
    with pytest.raises(InvalidTestIds, match="no tests given: name test IDs, groups of tests, or"):
        await rerun_endpoint_tests()
    assert simulator.calls == []


async def test_a_retried_run_takes_its_group_as_it_stands_by_then(
    simulate: Simulate, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What left the group is not sent again and fails nothing; what came in is sent."""
    simulator = simulate(tests=ids(3), faults={"202702": Fault(replies=[503], repeat=True)})
    await save_group("edited", *ids(2))
    attempts = []

    async def edit_first(group_names: list[str], credentials: str | None) -> Any:
        attempts.append(group_names)
        if len(attempts) == 2:
            await save_group("edited", "202701", "202703")
        return await load_groups(group_names, credentials)

    monkeypatch.setattr(flows.rerun.sources, "load_groups", edit_first)
    outcomes = await rerun_endpoint_tests.with_options(retries=1)(groups=["edited"])
    assert [(record.test_id, record.outcome) for record in outcomes] == [
        *(("202701", Outcome.ACCEPTED), ("202703", Outcome.ACCEPTED))
    ]
    assert sent(simulator) == {"202701": 1, "202702": 4, "202703": 1}
