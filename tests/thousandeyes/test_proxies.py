"""Loopback goes through no proxy, whatever is set in whichever spelling."""

import urllib.request
from pathlib import Path

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.proxy import parse_proxy

from thousandeyes.errors import SettingsError
from thousandeyes.proxies import LOOPBACK, direct_to_loopback, in_full, prepare, trusted

HOSTS = st.lists(st.sampled_from(["example.org", ".internal", "10.1.2.3", "*", "127.0.0.1", ""]))
TEXTS = st.one_of(st.none(), HOSTS.map(",".join), HOSTS.map(" , ".join))


@given(TEXTS, TEXTS)
def test_both_spellings_name_loopback_and_all_that_either_named(
    small: str | None, large: str | None
) -> None:
    given_ = {"no_proxy": small, "NO_PROXY": large}
    environ = {name: value for name, value in given_.items() if value is not None}
    ours = direct_to_loopback(environ)
    assert ours["no_proxy"] == ours["NO_PROXY"]
    hosts = ours["no_proxy"].split(",")
    named = {host.strip() for text in environ.values() for host in text.split(",")} - {""}
    assert hosts == ["*"] if "*" in named else set(hosts) == named | set(LOOPBACK)
    assert direct_to_loopback(ours) == ours


@pytest.mark.parametrize("no_proxy", [{}, {"no_proxy": "example.org"}, {"NO_PROXY": "a, b"}])
def test_http_and_websocket_libraries_go_to_loopback_directly_and_elsewhere_by_the_proxy(
    no_proxy: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    proxy = "http://127.0.0.1:9"
    for name in ("http_proxy", "HTTPS_PROXY"):
        monkeypatch.setenv(name, proxy)
    for name, value in {**no_proxy, **direct_to_loopback(no_proxy)}.items():
        monkeypatch.setenv(name, value)
    with httpx.Client() as client:
        for url in ("http://127.0.0.1:4200", "http://localhost:4200", "http://[::1]:4200"):
            assert client._transport_for_url(httpx.URL(url)) is client._transport
        there = client._transport_for_url(httpx.URL("https://api.thousandeyes.com"))
        assert there is not client._transport
    # What the WebSocket library asks.
    for host in ("127.0.0.1:4200", "localhost:4200", "::1:4200"):
        assert urllib.request.proxy_bypass(host)
    assert not urllib.request.proxy_bypass("prefect.example.net:4200")


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("proxy.example.org:3128", "http://proxy.example.org:3128/"),
        (" http://proxy:3128 ", "http://proxy:3128/"),
        ("https://proxy", "https://proxy/"),
        ("http://user@proxy:1", "http://user:@proxy:1/"),
        ("user:p%40ss@proxy:1", "http://user:p%40ss@proxy:1/"),
        ("http://user:s3cret@proxy:1/path?query#fragment", "http://user:s3cret@proxy:1/"),
        ("http://[::1]:3128", "http://[::1]:3128/"),
    ],
)
@pytest.mark.parametrize("name", ["http_proxy", "HTTPS_PROXY", "All_Proxy", "ws_proxy"])
def test_a_proxy_as_people_write_it_is_one_for_both_libraries(
    name: str, written: str, meant: str
) -> None:
    assert in_full({name: written, "NO_PROXY": written, "EMPTY_PROXY": ""}) == {name: meant}
    assert in_full({name: meant}) == {name: meant}
    parse_proxy(meant)
    httpx.Proxy(meant)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("ws_proxy", "gopher://proxy"),
        ("https_proxy", "http://"),
        ("HTTPS_PROXY", "gopher://user:s3cret@proxy"),
        ("http_proxy", "http://user:s3cret/@proxy:port"),
        ("ALL_PROXY", "socks5://user:s3cret@proxy:1080"),
        ("no_proxy", "[::1"),
        ("NO_PROXY", "example.org,[::1]"),
        ("NO_PROXY", "fe80::/10"),
        ("NO_PROXY", "münchen.de"),
        ("SSL_CERT_FILE", "/nowhere/s3cret.pem"),
    ],
)
def test_a_value_that_no_client_can_use_is_told_without_it(
    name: str, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, value)
    told = "NO_PROXY" if name == "no_proxy" else name
    with pytest.raises(SettingsError, match=f"^{told} has an unusable value") as caught:
        prepare({name: value})
    assert "s3cret" not in str(caught.value)


def test_certificates_are_read_again_only_where_a_variable_names_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = trusted()
    assert trusted() is first
    monkeypatch.setenv("SSL_CERT_DIR", str(tmp_path))
    assert trusted() is not first
    assert trusted().cert_store_stats()["x509"] == 0
