"""Which requests a Prefect server for one machine answers."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.guarded_server import may_call

OWN = ("http://127.0.0.1:4200", "http://localhost:4200")
TUNNEL = "https://prefect.example.net"
HOST = "127.0.0.1:4200"


@pytest.mark.parametrize(
    "host", [HOST, "127.0.0.1", "127.1.2.3:1", "localhost:8080", "LocalHost", "[::1]:4200"]
)
def test_a_client_on_this_machine_may_call_by_any_name_of_it(host: str) -> None:
    assert may_call(host, None, OWN)
    assert may_call(host, f"http://{host}", OWN)
    assert not may_call(host, "http://evil.example", OWN)


@pytest.mark.parametrize(
    "host",
    [
        "evil.example:4200",
        "127.0.0.1.evil.example",
        "localhost.evil.example:4200",
        "evil.example@127.0.0.1",
        "evil.example#@localhost",
        "127.0.0.1:4200:1",
        "[::1]evil.example",
        "[localhost",
        "0.0.0.0:4200",
        "10.0.0.5:4200",
        "",
    ],
)
def test_nobody_may_call_by_another_name_although_page_and_server_then_seem_one(host: str) -> None:
    for origin in (None, f"http://{host}", f"https://{host}", *OWN):
        assert not may_call(host, origin, OWN)


@pytest.mark.parametrize(
    "origin",
    [
        "null",
        "",
        "http://127.0.0.1",
        "http://127.0.0.1:42000",
        "http://127.0.0.1:8000",
        "http://localhost:8000",
        "ws://127.0.0.1:4200",
        "http://127.0.0.1:4200.evil.example",
        "http://127.0.0.1:4200/",
        "chrome-extension://abc",
    ],
)
def test_a_page_of_another_origin_may_not_even_if_it_is_on_this_machine(origin: str) -> None:
    assert not may_call(HOST, origin, OWN)


def test_origins_that_the_user_names_may_and_the_server_may_be_called_by_their_names() -> None:
    allowed = (TUNNEL, "http://[fd00::5]:4200")
    assert may_call(HOST, TUNNEL, allowed)
    assert may_call("prefect.example.net:4200", None, allowed)
    assert may_call("Prefect.example.net", TUNNEL, allowed)
    assert may_call("[fd00::5]:4200", None, allowed)
    assert not may_call(HOST, "http://prefect.example.net", allowed), "another origin: no TLS"
    assert not may_call("evil.example", TUNNEL, allowed)


@pytest.mark.parametrize("wrong", ["", "prefect.example.net", "http://", "://", "http://[x"])
def test_what_is_no_origin_in_the_users_list_lets_nobody_in(wrong: str) -> None:
    assert may_call(HOST, None, [wrong])
    assert not may_call("", None, [wrong])
    assert not may_call("prefect.example.net", None, [wrong])


def test_all_may_if_the_user_says_so() -> None:
    assert may_call("evil.example", "http://evil.example", ["*"])


TEXT = st.text(st.characters(max_codepoint=255))


@given(host=TEXT, origin=TEXT)
def test_no_header_that_a_browser_sends_for_another_name_gets_in(host: str, origin: str) -> None:
    name = f"{host}.example"
    assert not may_call(name, origin, OWN)
    assert not may_call(HOST, f"{origin}.example", OWN)
