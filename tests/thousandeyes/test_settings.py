import copy
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from tests.thousandeyes.steady import steady
from thousandeyes.errors import SettingsError, ThousandEyesError
from thousandeyes.settings import API_URL, ThousandEyesSettings, is_loopback

TOKEN = "0a1b2c3d-4e5f-6789-abcd-ef0123456789"


def with_url(url: str) -> ThousandEyesSettings:
    return ThousandEyesSettings(token=SecretStr(TOKEN), base_url=url)


@pytest.fixture
def token(monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("TE_TOKEN", TOKEN)
    return TOKEN


class TestSources:
    def test_the_token_alone_is_enough(self, token: str) -> None:
        chosen = ThousandEyesSettings()
        assert chosen.token.get_secret_value() == token
        assert (chosen.base_url, chosen.aid) == (API_URL, None)
        assert (chosen.max_quota_wait, chosen.quota_reserve) == (600, 0)

    def test_every_variable_begins_with_te(
        self, token: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        assert token
        monkeypatch.setenv("TE_AID", " 1234 ")
        monkeypatch.setenv("TE_BASE_URL", "http://127.0.0.1:8000")
        monkeypatch.setenv("TE_MAX_QUOTA_WAIT", "30")
        monkeypatch.setenv("TE_QUOTA_RESERVE", "0.25")
        monkeypatch.setenv("AID", "another program's")
        chosen = ThousandEyesSettings()
        assert (chosen.aid, chosen.base_url) == ("1234", "http://127.0.0.1:8000/v7")
        assert (chosen.max_quota_wait, chosen.quota_reserve) == (30, 0.25)

    def test_a_dotenv_file_is_read_and_the_environment_overrules_it(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        Path(".env").write_text(f"TE_TOKEN={TOKEN}\nTE_AID=1\nOTHER=x\nTE_OF_ANOTHER_TOOL=y\n")
        monkeypatch.setenv("TE_AID", "2")
        chosen = ThousandEyesSettings()
        assert (chosen.token.get_secret_value(), chosen.aid) == (TOKEN, "2")

    def test_another_file_can_be_named_for_where_no_dotenv_lies(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        Path(".env").write_text("TE_TOKEN=of-another-project\nTE_AID=1\n")
        (tmp_path / "somewhere").mkdir()
        named = tmp_path / "somewhere" / "worker.env"
        named.write_text(f"TE_TOKEN={TOKEN}\n")
        monkeypatch.setenv("TE_ENV_FILE", str(named))
        chosen = ThousandEyesSettings()
        assert (chosen.token.get_secret_value(), chosen.aid) == (TOKEN, None)

    @pytest.mark.parametrize(
        ("named", "reason"),
        [
            ("worker.env", "No such file or directory"),
            ("/nowhere/worker.env", "No such file or directory"),
            (".", "it is not a regular file"),
            ("/dev/zero", "it is not a regular file"),
            ("x" * 300, "File name too long"),
        ],
    )
    def test_a_named_file_that_can_not_be_read_is_told(
        self, token: str, named: str, reason: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        assert token
        monkeypatch.setenv("TE_ENV_FILE", named)
        with pytest.raises(SettingsError) as caught:
            ThousandEyesSettings()
        assert f"TE_ENV_FILE names {named}, which can't be read: {reason}. " in str(caught.value)

    def test_a_byte_order_mark_before_the_token_is_no_part_of_its_name(self) -> None:
        Path(".env").write_text(f"TE_TOKEN={TOKEN}\r\n", "utf-8-sig")
        assert ThousandEyesSettings().token.get_secret_value() == TOKEN

    def test_an_empty_variable_is_as_good_as_none(
        self, token: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        assert token
        for name in ("AID", "BASE_URL", "MAX_QUOTA_WAIT", "READ_TIMEOUT"):
            monkeypatch.setenv(f"TE_{name}", "")
        assert ThousandEyesSettings() == ThousandEyesSettings(token=SecretStr(TOKEN))

    def test_a_dotenv_file_that_is_no_text_is_told(self) -> None:
        Path(".env").write_bytes(f"TE_TOKEN={TOKEN}\xff".encode("latin-1"))
        with pytest.raises(SettingsError, match=r"^\.env can't be read") as caught:
            ThousandEyesSettings()
        assert TOKEN not in repr(caught.value)


class TestToken:
    def test_a_missing_one_is_named(self) -> None:
        with pytest.raises(SettingsError, match=r"^TE_TOKEN is not set: put it .*reads no \.env"):
            ThousandEyesSettings()

    @pytest.mark.parametrize("ending", ["\n", "\r\n", "  "])
    def test_a_trailing_newline_is_taken_off(
        self, ending: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("TE_TOKEN", TOKEN + ending)
        assert ThousandEyesSettings().token.get_secret_value() == TOKEN

    @pytest.mark.parametrize("wrong", [" \n", "two words", "a\x00b", "tökén", "a\x7fb", "a\nb"])
    def test_what_can_not_stand_in_a_header_is_refused_and_not_told(self, wrong: str) -> None:
        with pytest.raises(SettingsError, match=r"^TE_TOKEN: ") as caught:
            ThousandEyesSettings(token=SecretStr(wrong))
        assert wrong not in f"{caught.value!r} {caught.value}"

    def test_is_in_no_text_of_the_settings(self, token: str) -> None:
        chosen = ThousandEyesSettings()
        texts = [repr(chosen), str(chosen), chosen.model_dump_json(), f"{chosen.model_dump()}"]
        texts += [repr(vars(chosen)), repr(copy.deepcopy(chosen)), f"{chosen.token!r}"]
        assert not [text for text in texts if token in text]


class TestAppUrl:
    @pytest.mark.parametrize(
        ("base_url", "app"),
        [
            (API_URL, "https://app.thousandeyes.com"),
            ("https://api.thousandeyes.us", "https://app.thousandeyes.us"),
            ("https://API.thousandeyes.us/v7", "https://app.thousandeyes.us"),
            ("https://gateway.example/te", "https://app.thousandeyes.com"),
            ("https://api.thousandeyes.us.elsewhere.example", "https://app.thousandeyes.com"),
            ("http://127.0.0.1:8765", "https://app.thousandeyes.com"),
        ],
    )
    def test_is_that_of_the_api_s_region_where_it_is_known(self, base_url: str, app: str) -> None:
        assert with_url(base_url).app == app

    @pytest.mark.parametrize(
        ("typed", "app"),
        [
            ("https://app.eu1.example", "https://app.eu1.example"),
            (" https://app.eu1.example/ ", "https://app.eu1.example"),
            ("https://app.eu1.example:8443", "https://app.eu1.example:8443"),
            ("http://[::1]:8080", "http://[::1]:8080"),
            ("", "https://app.thousandeyes.us"),
        ],
    )
    def test_can_be_set(
        self, token: str, monkeypatch: pytest.MonkeyPatch, typed: str, app: str
    ) -> None:
        assert token
        monkeypatch.setenv("TE_BASE_URL", "https://api.thousandeyes.us")
        monkeypatch.setenv("TE_APP_URL", typed)
        assert ThousandEyesSettings().app == app

    @pytest.mark.parametrize(
        "wrong",
        [
            "app.example",
            "ftp://app.example",
            "http://app.example",
            "https://app.example/view",
            "https://u:p@app.example",
            "https://app.example?x",
            "https://app.example)[x](https://elsewhere",
            "https://app.example|x",
            "https://app example",
        ],
    )
    def test_must_be_an_address_that_a_link_can_begin_with(
        self, token: str, monkeypatch: pytest.MonkeyPatch, wrong: str
    ) -> None:
        assert token
        monkeypatch.setenv("TE_APP_URL", wrong)
        with pytest.raises(SettingsError, match=r"^TE_APP_URL: must ") as caught:
            ThousandEyesSettings()
        assert wrong not in str(caught.value)


class TestBaseUrl:
    @pytest.mark.parametrize(
        ("typed", "used"),
        [
            (API_URL, API_URL),
            ("https://api.thousandeyes.com", API_URL),
            ("https://api.thousandeyes.com/", API_URL),
            ("https://api.thousandeyes.com/v7/", API_URL),
            (" HTTPS://API.ThousandEyes.com/v7 ", API_URL),
            ("https://api.thousandeyes.com//V7//", API_URL),
            ("https://gateway/te/v7", "https://gateway/te/v7"),
            ("https://gateway:8443/te", "https://gateway:8443/te/v7"),
            ("http://localhost:80", "http://localhost/v7"),
            ("http://127.8.8.8:8080/v7", "http://127.8.8.8:8080/v7"),
            ("http://[::1]:8080", "http://[::1]:8080/v7"),
        ],
    )
    def test_is_taken_with_and_without_v7(self, typed: str, used: str) -> None:
        assert with_url(typed).base_url == used

    @pytest.mark.parametrize(
        "url",
        [
            "http://api.thousandeyes.com",
            "http://0.0.0.0:8000",
            "http://localhost.evil.example",
            "http://127.0.0.1.evil.example",
            "http://10.0.0.1",
        ],
    )
    def test_plain_http_is_for_loopback_alone(self, url: str) -> None:
        with pytest.raises(SettingsError, match=r"^TE_BASE_URL: must be https"):
            with_url(url)

    @pytest.mark.parametrize(
        "url",
        [
            "api.thousandeyes.com",
            "ftp://api.thousandeyes.com",
            "https://",
            "https:///v7",
            "//host",
            "https://[::1",
            "https://host:port",
            "https://host:99999",
            "https://host:-1",
            "https://ho\nst",
            "https://ho st",
            "https://host/a path",
            "https://user:s3cret/p@host",
            "https://user:s3cret\u2100@host",
            "https://user:s3cret@host/",
            "https://s3cret@host/",
            "https://@host/",
            "https://host/?key=s3cret",
            "https://host/#s3cret",
            r"http://localhost\@evil.example",
            pytest.param(f"https://host{'/' * 200_000}a", id="200,000 slashes"),
        ],
    )
    def test_anything_else_is_refused_and_not_told(self, url: str) -> None:
        with pytest.raises(SettingsError, match=r"^TE_BASE_URL: must ") as caught:
            with_url(url)
        told = f"{caught.value!r}".replace(API_URL, "")
        assert "s3cret" not in told
        assert url not in told

    @pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "127.1.2.3", "::1"])
    def test_loopback_is_known_by_name_and_address(self, host: str) -> None:
        assert is_loopback(host)


class TestErrors:
    @given(
        st.dictionaries(
            st.sampled_from(
                ["token", "aid", "base_url", "max_quota_wait", "quota_reserve", "read_timeout"]
            ),
            st.text("abcxyz:/@[]{}%#?.\n\x00é\u2100 ", min_size=6, max_size=40),
            min_size=1,
        )
    )
    @steady(150)
    def test_name_the_variable_and_tell_no_value(self, values: dict[str, str]) -> None:
        told = "TE_NOTHING:"
        try:
            ThousandEyesSettings(**{"token": TOKEN, **values})
        except ThousandEyesError as error:
            told = f"{error!r} {error}"
        assert re.search("TE_[A-Z_]+:", told)
        assert not [v for v in values.values() if len(v.strip()) > 5 and v.strip() in told]

    @pytest.mark.parametrize(
        ("name", "value"),
        [
            ("MAX_QUOTA_WAIT", "ten"),
            ("MAX_QUOTA_WAIT", "0"),
            ("QUOTA_RESERVE", "1"),
            ("QUOTA_RESERVE", "-0.5"),
            ("QUOTA_RESERVE", "nan"),
            ("READ_TIMEOUT", "-30"),
        ],
    )
    def test_a_number_out_of_bounds_is_told(
        self, name: str, value: str, token: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        assert token
        monkeypatch.setenv(f"TE_{name}", value)
        with pytest.raises(SettingsError, match=f"^TE_{name}: Input should be"):
            ThousandEyesSettings()

    def test_all_that_is_wrong_is_told_at_once(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("TE_QUOTA_RESERVE", "x")
        with pytest.raises(SettingsError) as caught:
            ThousandEyesSettings()
        assert "TE_TOKEN is not set" in str(caught.value)
        assert "TE_QUOTA_RESERVE" in str(caught.value)
        assert caught.value.__suppress_context__
