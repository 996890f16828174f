"""The blocks that bootstrap brings: what people and runs put into them stays, or is told."""

from pathlib import Path
from typing import Any

import pytest
from prefect import flow, get_client
from prefect.blocks.core import Block
from prefect.client.orchestration import PrefectClient
from prefect.client.schemas.actions import BlockDocumentUpdate
from prefect.client.schemas.filters import FlowFilter, FlowFilterName
from prefect.settings import PREFECT_API_URL, temporary_settings
from prefect.states import Cancelled, Completed, Running

from deployments.blocks import apply_block_type, apply_credentials, apply_group, credentials_given
from deployments.bootstrap import main
from deployments.steps import Found
from flows.create import create_endpoint_tests
from tasks.blocks import EndpointTestGroup, ThousandEyesCredentials
from tasks.known_tests import KnownTests
from tests.deployments.topology import TOKEN
from thousandeyes.errors import SettingsError


@pytest.fixture
async def nobody_creates() -> None:
    """End the runs that tests of interruptions left on the server, as if they created tests."""
    async with get_client() as client:
        runs = await client.read_flow_runs(
            flow_filter=FlowFilter(name=FlowFilterName(any_=[create_endpoint_tests.name]))
        )
        for run in runs:
            if run.state and not run.state.is_final():
                await client.set_flow_run_state(run.id, Cancelled(), force=True)


@pytest.mark.usefixtures("prefect_server", "nobody_creates")
async def test_a_group_of_the_file_keeps_the_tests_that_were_created_for_it() -> None:
    there = {"test_ids": ["9"], "names": {"9": "Voice"}, "created": ["9"]}
    await EndpointTestGroup.model_validate(there).save("kept", overwrite=True)
    of_the_file = EndpointTestGroup(test_ids=["1"])
    async with get_client() as client:
        await client.create_flow_run(flow(name="another")(lambda: None), state=Running())
        steps = [await apply_group(client, "kept", of_the_file, dry_run=False) for _ in range(2)]
    assert [step.found for step in steps] == [Found.DIFFERENT, Found.AS_IT_SHOULD_BE]
    group: EndpointTestGroup = await EndpointTestGroup.aload("kept")
    assert (group.test_ids, group.names) == (["1", "9"], {"9": "Voice"})


@pytest.mark.usefixtures("prefect_server")
async def test_a_block_type_is_registered_once_and_not_by_a_dry_run() -> None:
    class NotYetThere(Block): ...

    async with get_client() as client:
        found = [
            (await apply_block_type(client, NotYetThere, dry_run=dry_run)).found
            for dry_run in (True, False, False)
        ]
    assert found == [Found.MISSING, Found.MISSING, Found.AS_IT_SHOULD_BE]


async def set_in_the_ui(client: PrefectClient, block: Block, name: str, **values: Any) -> None:
    """Save a block, and change it as the UI does, which knows none of our rules."""
    await block.save(name, overwrite=True)
    document = await client.read_block_document_by_name(name, block.get_block_type_slug())
    update = BlockDocumentUpdate(
        block_schema_id=document.block_schema_id, data=document.data | values
    )
    await client.update_block_document(document.id, update)


@pytest.mark.usefixtures("prefect_server", "nobody_creates")
async def test_a_group_that_people_made_unusable_is_mended_and_keeps_what_was_created() -> None:
    made = {"test_ids": ["7", "9"], "names": {"7": "Mail", "9": "Voice"}, "created": ["9"]}
    spoilt = EndpointTestGroup.model_validate(made | {"creating": {"Web": "a-run"}})
    async with get_client() as client:
        await set_in_the_ui(client, spoilt, "spoilt", test_ids=["9"])
        of_the_file = EndpointTestGroup(test_ids=["1"])
        steps = [
            await apply_group(client, "spoilt", of_the_file, dry_run=dry_run)
            for dry_run in (True, False, False)
        ]
    why = "could not be used: names: test_ids does not hold 7"
    assert [(step.found, step.detail) for step in steps] == [
        (Found.DIFFERENT, why),
        (Found.DIFFERENT, why),
        (Found.AS_IT_SHOULD_BE, ""),
    ]
    group: EndpointTestGroup = await EndpointTestGroup.aload("spoilt")
    assert (group.test_ids, group.names) == (["1", "9"], {"9": "Voice"})
    assert (group.created, group.creating) == (["9"], {"Web": "a-run"})


@pytest.mark.usefixtures("prefect_server", "nobody_creates")
@pytest.mark.parametrize("names", [None, 5, {"Berlin VPN": "9"}, {"7": None}])
async def test_so_is_one_whose_names_are_none(names: object) -> None:
    made = EndpointTestGroup(test_ids=["9"], created=["9"])
    async with get_client() as client:
        await set_in_the_ui(client, made, "nameless", names=names)
        step = await apply_group(
            client, "nameless", EndpointTestGroup(test_ids=["1"]), dry_run=False
        )
    group: EndpointTestGroup = await EndpointTestGroup.aload("nameless")
    assert step.found is Found.DIFFERENT
    assert (group.test_ids, group.names, group.created) == (["1"], {}, ["9"])


@pytest.mark.usefixtures("prefect_server", "nobody_creates")
async def test_a_group_whose_notes_of_creations_can_not_be_read_is_left_and_told() -> None:
    group = EndpointTestGroup(test_ids=["9"], names={"9": "Voice"}, created=["9"])
    async with get_client() as client:
        await set_in_the_ui(client, group, "unreadable", created=["no ID!"])
        step = await apply_group(client, "unreadable", EndpointTestGroup(), dry_run=False)
        document = await client.read_block_document_by_name("unreadable", "endpoint-test-group")
    assert step.found is Found.KEPT
    assert step.detail.startswith("what was created for it can't be read: created.0: ")
    assert step.detail.endswith("; fix it in Prefect's UI")
    assert document.data["test_ids"] == ["9"]


@pytest.mark.usefixtures("prefect_server", "nobody_creates")
async def test_credentials_that_can_not_be_used_are_set_by_the_environment_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("TE_TOKEN", TOKEN)
    async with get_client() as client:
        await apply_credentials(credentials_given(), dry_run=False)
        block = await ThousandEyesCredentials.aload("thousandeyes")
        spoilt = {"token": "5ecret token", "base_url": "http://api.example.net"}
        await set_in_the_ui(client, block, "thousandeyes", **spoilt)
        steps = [await apply_credentials(credentials_given(), dry_run=False) for _ in range(2)]
    assert [step.found for step in steps] == [Found.DIFFERENT, Found.AS_IT_SHOULD_BE]
    assert steps[0].detail.startswith("could not be used: token: contains a space")
    assert "5ecret" not in steps[0].detail


@pytest.mark.usefixtures("prefect_server", "nobody_creates")
async def test_a_group_is_left_while_a_run_creates_tests_which_keeps_all_that_it_notes() -> None:
    await EndpointTestGroup(test_ids=["1"]).save("growing", overwrite=True)
    changed = EndpointTestGroup(test_ids=["1", "2"])
    async with get_client() as client:
        creation = await client.create_flow_run(create_endpoint_tests)
        await client.set_flow_run_state(creation.id, Running())
        left = await apply_group(client, "growing", changed, dry_run=False)
        known = KnownTests("growing", creation.id)
        await known.created("Voice", "9")
        await client.set_flow_run_state(creation.id, Completed())
        changed_now = await apply_group(client, "growing", changed, dry_run=False)
    assert (left.found, changed_now.found) == (Found.KEPT, Found.DIFFERENT)
    assert left.detail == (
        f"differs from groups.yaml, but run {creation.name} may be creating tests for it: run "
        "bootstrap again when that run has ended"
    )
    group = await known.read()
    assert (group.test_ids, group.names, group.created) == (["1", "2", "9"], {"9": "Voice"}, ["9"])


@pytest.mark.usefixtures("prefect_server", "nobody_creates")
async def test_one_that_is_as_it_should_be_is_found_also_then() -> None:
    group = EndpointTestGroup(test_ids=["1"])
    await group.save("steady", overwrite=True)
    async with get_client() as client:
        creation = await client.create_flow_run(create_endpoint_tests)
        await client.set_flow_run_state(creation.id, Running())
        step = await apply_group(client, "steady", group, dry_run=False)
        await client.set_flow_run_state(creation.id, Completed())
    assert step.found is Found.AS_IT_SHOULD_BE


def test_without_a_token_no_credentials_are_wanted_whatever_else_is_wrong(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TE_AID", "four")
    assert credentials_given() is None
    monkeypatch.setenv("TE_ENV_FILE", str(tmp_path / "made-later"))
    assert credentials_given() is None


def test_a_wrong_variable_beside_a_token_is_refused_before_the_server_is_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TE_QUOTA_RESERVE", "2")
    file = tmp_path / "thousandeyes.env"
    file.write_text(f"TE_TOKEN={TOKEN}")
    monkeypatch.setenv("TE_ENV_FILE", str(file))
    with temporary_settings({PREFECT_API_URL: "http://127.0.0.1:9/api"}):
        assert main([]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith("error: TE_QUOTA_RESERVE: ")
    assert TOKEN not in said.err


@pytest.mark.parametrize("token", ["5ecret token", ""])
def test_so_is_a_token_that_can_not_be_one_but_not_an_empty_one(
    token: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TE_TOKEN", token)
    if not token:
        assert credentials_given() is None
        return
    with pytest.raises(SettingsError, match="TE_TOKEN: contains a space") as refused:
        credentials_given()
    assert "5ecret" not in str(refused.value)
