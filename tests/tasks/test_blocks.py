"""The blocks: what they take, what they refuse, and what a server keeps of them."""

from typing import Any

import pytest
from prefect import get_client
from prefect.blocks.core import Block
from prefect.plugins import load_prefect_collections
from prefect.testing.standard_test_suites.blocks import BlockStandardTestSuite
from pydantic import SecretStr, ValidationError

import tasks.blocks
from tasks.blocks import EndpointTestGroup, ThousandEyesCredentials
from tasks.loading import load_groups
from thousandeyes.client import ThousandEyesClient
from thousandeyes.settings import API_URL
from thousandeyes.thresholds import Thresholds

TOKEN = "tkn-0f-a-block"


def credentials(**values: Any) -> ThousandEyesCredentials:
    return ThousandEyesCredentials(**{"token": SecretStr(TOKEN), **values})


class Standard(BlockStandardTestSuite):
    # It opens the logo's address, and the blocks have no logo: no picture in the project has a
    # public one.
    test_has_a_valid_image = None  # type: ignore[assignment]


class TestThousandEyesCredentialsMeetsPrefectsStandard(Standard):
    @pytest.fixture
    def block(self) -> type[Block]:
        return ThousandEyesCredentials


class TestEndpointTestGroupMeetsPrefectsStandard(Standard):
    @pytest.fixture
    def block(self) -> type[Block]:
        return EndpointTestGroup


def test_prefect_finds_the_blocks_by_the_projects_entry_point() -> None:
    assert load_prefect_collections()["prefect_thousandeyes"] is tasks.blocks


class TestCredentials:
    def test_take_what_the_settings_take_and_clean_it_likewise(self) -> None:
        block = credentials(token=SecretStr(f"{TOKEN}\n"), aid=" 12 ", base_url="http://[::1]:80/")
        assert block.token.get_secret_value() == TOKEN
        assert (block.aid, block.base_url) == ("12", "http://[::1]/v7")
        assert credentials().base_url == API_URL

    @pytest.mark.parametrize(
        ("wrong", "reason"),
        [
            ({"token": "5ecret token"}, "contains a space"),
            ({"token": " "}, "is empty"),
            ({"base_url": "http://5ecret.example"}, "must be https"),
            ({"base_url": "https://u:5ecret@host"}, "must hold neither credentials"),
            ({"tocken": "5ecret"}, "Extra inputs"),
        ],
    )
    def test_refuse_what_the_settings_refuse_and_repeat_none_of_it(
        self, wrong: dict[str, str], reason: str
    ) -> None:
        with pytest.raises(ValidationError, match=reason) as caught:
            credentials(**wrong)
        assert "5ecret" not in f"{caught.value!r} {caught.value}"

    def test_of_a_run_never_mix_with_the_workers_own(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("TE_TOKEN", "another")
        monkeypatch.setenv("TE_AID", "999")
        monkeypatch.setenv("TE_BASE_URL", "https://elsewhere.example")
        monkeypatch.setenv("TE_APP_URL", "https://elsewhere.example")
        monkeypatch.setenv("TE_QUOTA_RESERVE", "0.25")
        monkeypatch.setenv("TE_READ_TIMEOUT", "7")
        settings = credentials().settings()
        assert settings.token.get_secret_value() == TOKEN
        assert (settings.aid, settings.base_url) == (None, API_URL)
        assert settings.app == "https://app.thousandeyes.com"
        assert (settings.quota_reserve, settings.read_timeout) == (0.25, 7)

    def test_name_the_app_of_their_region(self) -> None:
        chosen = credentials(base_url="https://api.thousandeyes.us").settings()
        assert chosen.app == "https://app.thousandeyes.us"
        chosen = credentials(app_url="https://app.eu1.example").settings()
        assert chosen.app == "https://app.eu1.example"

    def test_need_no_token_in_the_environment(self) -> None:
        assert credentials(aid="7").settings().aid == "7"

    def test_make_the_client(self) -> None:
        client = credentials(aid="7").get_client()
        assert isinstance(client, ThousandEyesClient)
        assert client.settings == credentials(aid="7").settings()

    def test_tell_the_token_in_no_text(self) -> None:
        block = credentials()
        texts = [repr(block), str(block), block.model_dump_json(), f"{block.model_dump()}"]
        assert not [text for text in texts if TOKEN in text]


class TestGroup:
    def test_takes_ids_as_people_type_and_paste_them(self) -> None:
        group = EndpointTestGroup(test_ids=[" 1 ", "\ufeff'2',3\r4 # Berlin", "", "2"])
        assert group.test_ids == ["1", "2", "3", "4"]
        assert EndpointTestGroup(test_ids=[" "]).test_ids == [], "its tests may be created yet"

    def test_takes_ids_written_as_numbers(self) -> None:
        """As an editor for JSON leaves them, and a program."""
        group = EndpointTestGroup.model_validate(
            {"test_ids": [765231567, "2"], "names": {765231567: "Berlin"}, "aid": 1234}
        )
        assert group.test_ids == ["765231567", "2"]
        assert (group.names, group.aid) == ({"765231567": "Berlin"}, "1234")
        assert credentials(aid=1234).aid == "1234"

    def test_takes_one_number_for_a_list_of_one(self) -> None:
        assert EndpointTestGroup.model_validate({"test_ids": 202701}).test_ids == ["202701"]

    def test_takes_a_pasted_list_and_its_form_begins_with_that(self) -> None:
        group = EndpointTestGroup.model_validate({"test_ids": "765231567\n2,765231567 # Berlin"})
        assert group.test_ids == ["765231567", "2"]
        fields = EndpointTestGroup.model_json_schema()["properties"]
        assert [kind["type"] for kind in fields["test_ids"]["anyOf"]] == ["string", "array"]
        assert next(iter(fields)) == "test_ids"
        assert [*fields][-2:] == ["created", "creating"]  # not people's to fill in

    @pytest.mark.parametrize(
        ("wrong", "reason"),
        [
            ({"test_ids": [True]}, r"test_ids\.0\s+Value error, neither text nor a whole number"),
            ({"test_ids": [1.5]}, "neither text nor a whole number"),
            ({"test_ids": [["1"]]}, "neither text nor a whole number"),
            ({"test_ids": ["1"], "names": {True: "b"}}, "neither text nor a whole number"),
            ({"test_ids": ["1"], "aid": True}, r"aid\s+Value error, neither text nor"),
            ({"test_ids": {"12": "Berlin"}}, "valid list"),
            ({"test_ids": True}, r"test_ids\.0\s+Value error, neither text nor a whole number"),
            ({"test_ids": "1, Berlin"}, "line 1, column 4 is not a test ID"),
            (
                {"test_ids": ["1, 2", "3 ../x"]},
                r"test_ids\.1\s+.*line 1, column 3 is not a test ID",
            ),
            ({"test_ids": ["1"], "names": {"2": "b"}}, "test_ids does not hold 2"),
            ({"test_ids": ["1"], "thresholds": {"max_loss": 1}}, r"max_loss\s+Extra inputs"),
            ({"test_ids": ["1"], "theshold": {}}, "Extra inputs"),
        ],
    )
    def test_refuses_what_can_not_be_meant(self, wrong: dict[str, Any], reason: str) -> None:
        with pytest.raises(ValidationError, match=reason) as caught:
            EndpointTestGroup(**wrong)
        assert "../x" not in f"{caught.value!r} {caught.value}"

    def test_an_empty_field_of_a_form_is_as_good_as_none(self) -> None:
        group = EndpointTestGroup(test_ids=["1"], aid=" ", credentials="")
        assert (group.aid, group.credentials) == (None, None)


@pytest.mark.usefixtures("prefect_server")
class TestOnAServer:
    async def test_a_group_is_loaded_changed_and_saved(self) -> None:
        group = EndpointTestGroup(
            test_ids=["1", "2"],
            names={"1": "Berlin"},
            thresholds=Thresholds(max_loss_percent=5),
            aid="7",
            credentials="prod",
        )
        await group.save("changing")
        loaded = (await load_groups(["changing"]))["changing"]
        assert loaded.model_dump() == loaded.model_dump() | group.model_dump()
        loaded.test_ids.append("3")
        await loaded.save("changing", overwrite=True)
        again = await load_groups(["changing"])
        assert again["changing"].test_ids == ["1", "2", "3"]
        assert again["changing"].thresholds == Thresholds(max_loss_percent=5)

    async def test_the_api_shows_credentials_without_their_token(self) -> None:
        await credentials(aid="7").save("shown")
        async with get_client() as client:
            document = await client.read_block_document_by_name(
                "shown", "thousandeyes-credentials", include_secrets=False
            )
        assert document.data["aid"] == "7"
        assert set(document.data["token"]) == {"*"}
