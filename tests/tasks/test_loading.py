"""Blocks loaded by name from a real server, and what is told of those that are not there."""

import traceback
from typing import Any

import pytest
from prefect import get_client
from prefect.blocks.core import Block
from prefect.client.schemas.actions import BlockDocumentUpdate
from pydantic import SecretStr

import tasks.loading
from tasks.blocks import EndpointTestGroup, ThousandEyesCredentials
from tasks.loading import block_names, groups_naming, load_groups, load_settings
from thousandeyes.errors import SettingsError
from thousandeyes.redaction import known_tokens, redactor_of_token
from thousandeyes.text import shown

TOKEN = "tkn-0f-a-block"

pytestmark = pytest.mark.usefixtures("prefect_server")


def credentials(**values: Any) -> ThousandEyesCredentials:
    return ThousandEyesCredentials(**{"token": SecretStr(TOKEN), **values})


async def test_a_run_gets_its_settings_from_the_block_that_it_names() -> None:
    await credentials(aid="7").save("named")
    settings = await load_settings("named")
    assert (settings.token.get_secret_value(), settings.aid) == (TOKEN, "7")
    assert TOKEN in known_tokens(), "nothing repeats it from now on"


async def test_a_group_names_its_credentials_also_with_the_spaces_that_a_form_lets_through() -> (
    None
):
    await EndpointTestGroup(test_ids=["1"]).save("spaced", overwrite=True)
    async with get_client() as client:
        document = await client.read_block_document_by_name("spaced", "endpoint-test-group")
        data = document.data | {"credentials": " of-an-organization "}
        update = BlockDocumentUpdate(block_schema_id=document.block_schema_id, data=data)
        await client.update_block_document(document.id, update)
    assert await groups_naming(["of-an-organization"]) == ["spaced"]


async def test_without_a_name_the_environment_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TE_TOKEN", "the worker's")
    with pytest.raises(SettingsError, match="TE_TOKEN: contains a space"):
        await load_settings(None)


async def test_all_blocks_that_are_missing_are_told_at_once_with_what_there_is() -> None:
    await EndpointTestGroup(test_ids=["1"]).save("morning", overwrite=True)
    with pytest.raises(SettingsError) as caught:
        await load_groups(["no-such-group", "morning", "../night"], "lost")
    text = str(caught.value)
    assert "no Endpoint Test Group block named 'no-such-group', '../night' (" in text
    assert "morning" in text.partition("this Prefect server has ")[2].partition(")")[0]
    assert "no ThousandEyes Credentials block named 'lost'" in text
    assert "PREFECT_API_URL" in text


async def test_of_many_that_are_missing_a_few_are_told_and_none_is_asked_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    await EndpointTestGroup(test_ids=["1"]).save("morning", overwrite=True)
    asked = []
    load = EndpointTestGroup.aload

    async def counted(name: str) -> Any:
        asked.append(name)
        return await load(name)

    monkeypatch.setattr(EndpointTestGroup, "aload", counted)
    with pytest.raises(SettingsError) as caught:
        await load_groups([*map(str, range(765_000_000, 765_002_000)), "morning"])
    assert asked == ["morning"]
    text = str(caught.value)
    assert "'765000019' and 1980 more (this Prefect server has" in text
    assert "a number looks like a test ID: put it into test_ids" in text
    assert len(text) < 2_000


@pytest.mark.parametrize("origin", ["environment", "process"])
async def test_a_token_in_place_of_a_name_is_refused_and_not_repeated(
    monkeypatch: pytest.MonkeyPatch, origin: str
) -> None:
    token = "0a1b2c3d-4e5f-6789-abcd-ef0123456789"
    if origin == "environment":
        monkeypatch.setenv("TE_TOKEN", token)
    else:
        redactor_of_token(token)
    hidden = "\u200b".join(token)
    for load in (
        *(load_groups(["morning", f"{token} "]), load_settings(token.upper())),
        *(load_groups([f"Bearer {token}", f"TE_TOKEN='{token}'."]), load_groups([hidden])),
    ):
        with pytest.raises(SettingsError, match=r"^[12] of the names .* revoke it") as refused:
            await load
        assert not {token, hidden} & set(str(refused.value).casefold().split("'"))
        assert token not in shown(str(refused.value)).casefold()


async def test_a_server_that_never_heard_of_a_kind_of_block_has_none() -> None:
    class NeverSaved(Block): ...

    assert await block_names(NeverSaved) == []
    _, [problem] = await tasks.loading._load(NeverSaved, ["lost"])
    assert problem == "no NeverSaved block named 'lost' (this Prefect server has none)"


async def test_a_block_that_was_stored_wrong_is_told_without_its_values() -> None:
    await credentials().save("spoilt")
    async with get_client() as client:
        document = await client.read_block_document_by_name("spoilt", "thousandeyes-credentials")
        data = document.data | {"token": "5ecret token", "base_url": "ftp://5ecret"}
        await client.update_block_document(
            document.id,
            BlockDocumentUpdate(block_schema_id=document.block_schema_id, data=data),
        )
    with pytest.raises(RuntimeError) as raised:
        await ThousandEyesCredentials.aload("spoilt")
    assert "5ecret" not in "".join(traceback.format_exception(raised.value))
    with pytest.raises(SettingsError) as caught:
        await load_settings("spoilt")
    assert "'spoilt' can't be used: token: contains a space" in str(caught.value)
    assert "base_url: must be an address" in str(caught.value)
    assert "5ecret" not in str(caught.value)
    assert caught.value.__context__ is None
