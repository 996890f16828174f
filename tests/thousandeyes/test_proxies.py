"""Loopback goes through no proxy, whatever is set in whichever spelling."""

import os
import ssl
import urllib.request
from pathlib import Path
from typing import Any
from unittest.mock import patch

import certifi
import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.proxy import get_proxy, parse_proxy
from websockets.uri import parse_uri

from tests.thousandeyes.steady import steady
from thousandeyes.errors import SettingsError
from thousandeyes.proxies import (
    LOOPBACK,
    direct_to,
    events_as_calls,
    in_full,
    prepare,
    trusted,
    unusable,
)

WITHOUT_CERTIFICATES = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
HOSTS = st.lists(st.sampled_from(["example.org", ".internal", "10.1.2.3", "*", "127.0.0.1", ""]))
TEXTS = st.one_of(st.none(), HOSTS.map(",".join), HOSTS.map(" , ".join))


@given(TEXTS, TEXTS)
def test_both_spellings_name_loopback_and_all_that_either_named(
    small: str | None, large: str | None
) -> None:
    given_ = {"no_proxy": small, "NO_PROXY": large}
    environ = {name: value for name, value in given_.items() if value is not None}
    ours = direct_to(LOOPBACK, environ)
    assert ours["no_proxy"] == ours["NO_PROXY"]
    hosts = ours["no_proxy"].split(",")
    named = {host.strip() for text in environ.values() for host in text.split(",")} - {""}
    assert hosts == ["*"] if "*" in named else set(hosts) == named | set(LOOPBACK)
    assert direct_to(LOOPBACK, ours) == ours


@pytest.mark.parametrize("no_proxy", [{}, {"no_proxy": "example.org"}, {"NO_PROXY": "a, b"}])
def test_http_and_websocket_libraries_go_to_loopback_directly_and_elsewhere_by_the_proxy(
    no_proxy: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    proxy = "http://127.0.0.1:9"
    for name in ("http_proxy", "HTTPS_PROXY"):
        monkeypatch.setenv(name, proxy)
    for name, value in {**no_proxy, **direct_to(LOOPBACK, no_proxy)}.items():
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
        ("http://first last:s3cret@proxy:1", "http://first%20last:s3cret@proxy:1/"),
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
        ("HTTPS_PROXY", "http://s3cret:99999"),
        ("all_proxy", "proxy:0"),
        ("HTTP_PROXY", "http://s3cret proxy:1"),
        ("SSL_CERT_FILE", "/nowhere/s3cret.pem"),
        ("SSL_CERT_DIR", "/nowhere/s3cret"),
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


VARIABLES = st.fixed_dictionaries(
    {},
    optional={
        spelt(f"{kind}_proxy"): st.sampled_from(["", f"{kind}.example.net:8{number}"])
        for number, kind in enumerate(("http", "https", "all", "ws", "wss", "socks"), 1)
        for spelt in (str.lower, str.upper)
    }
    | {
        "no_proxy": st.lists(
            st.sampled_from(
                [
                    *("*", ".example.org", "example.org", "prefect.example.org:4200", "192.0.2.2"),
                    *("http://prefect.example.org/path", "https://*", "all://*.example.org"),
                    *("192.0.2.0/24", "2001:db8::1", "localhost", "ample.org", "http://192.0.2.2"),
                ]
            ),
            max_size=2,
        ).map(",".join)
    },
)
SERVERS = st.builds(
    "{}://{}{}/api".format,
    st.sampled_from(["http", "https"]),
    st.sampled_from(
        [
            *("192.0.2.2", "prefect.example.org", "Example.org", "127.0.0.1", "[2001:db8::1]"),
            *("a.localhost", "user:pass@prefect"),
        ]
    ),
    st.sampled_from(["", ":80", ":443", ":4200"]),
)


def of_http(url: str) -> str | None:
    """Return the proxy that the HTTP library takes to an address; None: it goes directly."""
    with httpx.Client(verify=WITHOUT_CERTIFICATES) as client:
        transport: Any = client._transport_for_url(httpx.URL(url))
        if transport is client._transport:
            return None
        proxy = transport._pool._proxy_url
        return f"{proxy.host.decode()}:{proxy.port}"


def of_events(url: str) -> str | None:
    """Return the proxy that the WebSocket library takes to Prefect's events at that address."""
    proxy = get_proxy(parse_uri("ws" + url.removeprefix("http")))
    return httpx.URL(proxy).netloc.decode() if proxy else None


@given(VARIABLES, SERVERS, st.sampled_from(["https://api.thousandeyes.com", "http://other.org:1"]))
@steady(100)
def test_prefects_events_go_to_its_server_as_its_calls_do_and_no_other_call_goes_another_way(
    variables: dict[str, str], server: str, other: str
) -> None:
    with patch.dict(os.environ, variables, clear=True):
        before = of_http(other), of_http(server)
        prepare(os.environ, server)
        assert of_events(server) == of_http(server)
        assert of_http(other) == before[0]
        assert of_http(server) in (before[1], None)
        prepared = dict(os.environ)
        prepare(os.environ, server)
        assert dict(os.environ) == prepared


@pytest.mark.parametrize(
    ("variables", "proxy"),
    [
        ({"HTTPS_PROXY": "http://proxy:1"}, None),
        ({"HTTP_PROXY": "http://proxy:1"}, "proxy:1"),
        ({"ALL_PROXY": "http://proxy:1"}, "proxy:1"),
        ({"ALL_PROXY": "http://proxy:1", "HTTPS_PROXY": "http://proxy:2"}, "proxy:1"),
        ({"SOCKS_PROXY": "http://proxy:1"}, None),
        ({"HTTP_PROXY": "http://proxy:1", "NO_PROXY": "192.0.2.2"}, None),
        ({"HTTP_PROXY": "http://proxy:1", "NO_PROXY": "http://192.0.2.2/api"}, None),
        ({"HTTP_PROXY": "http://proxy:1", "NO_PROXY": "http://*"}, None),
    ],
)
def test_a_plain_http_server_is_reached_as_the_variables_for_http_say(
    variables: dict[str, str], proxy: str | None
) -> None:
    server = "http://192.0.2.2:4200/api"
    with patch.dict(os.environ, variables, clear=True):
        prepare(os.environ, server)
        assert of_http(server) == of_events(server) == proxy


def test_what_is_no_client_of_prefect_sets_nothing_for_its_events() -> None:
    environ = {"ALL_PROXY": "http://proxy:1", "PREFECT_API_URL": "http://192.0.2.2:4200/api"}
    prepare(environ)
    assert not {"ws_proxy", "wss_proxy"} & environ.keys()


def test_a_socks_proxy_that_events_can_not_use_is_told_where_they_would_take_it() -> None:
    environ = {"ALL_PROXY": "socks5://proxy:1080/", "no_proxy": "192.0.2.2"}
    with pytest.raises(SettingsError, match="without the package python-socks: install"):
        events_as_calls(httpx.URL("https://prefect.example.org/api"), environ)
    direct = events_as_calls(httpx.URL("http://192.0.2.2:4200/api"), environ)
    assert direct == dict.fromkeys(("no_proxy", "NO_PROXY"), "192.0.2.2")


def test_certificates_are_read_again_only_where_a_variable_names_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = trusted()
    assert trusted() is first
    monkeypatch.setenv("SSL_CERT_DIR", str(tmp_path))
    assert trusted() is not first
    assert trusted().cert_store_stats()["x509"] == 0


def test_where_a_file_of_certificates_is_named_it_alone_counts(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("SSL_CERT_DIR", "/nowhere")
    monkeypatch.setenv("SSL_CERT_FILE", certifi.where())
    assert trusted().cert_store_stats()["x509"]
    monkeypatch.setenv("SSL_CERT_FILE", "/nowhere/file.pem")
    assert str(unusable(os.environ)) == "SSL_CERT_FILE has an unusable value"
