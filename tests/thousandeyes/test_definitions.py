"""What we send to create a test, beside what the vendor's own client sends for the same fields."""

# Its generated modules export no names explicitly.
# mypy: disable-error-code="attr-defined"

import json
from collections.abc import Iterator
from enum import EnumMeta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any, cast, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr, ValidationError
from thousandeyes_sdk.core import ApiClient, Configuration
from thousandeyes_sdk.endpoint_instant_tests import (
    AgentToServerEndpointInstantScheduledTestsApi,
    EndpointAgentToServerInstantTest,
    EndpointHttpServerInstantTest,
    HTTPServerEndpointInstantScheduledTestsApi,
)

from tests.thousandeyes.steady import steady
from thousandeyes.client import ThousandEyesClient
from thousandeyes.definitions import AgentToServerTest, HttpServerTest, InstantTest
from thousandeyes.record import Record
from thousandeyes.settings import ThousandEyesSettings

AGENT, TAG = "861b7557-cd57-4bbb-b648-00bddf88ef49", "c6b78e57-81a2-4c5f-a11a-d96c3c664d55"
TOKEN = "0a1b2c3d-4e5f-6789"
NETWORK = {"test_name": "Voice", "server": "voice.example.com"}
HTTP = {"test_name": "Intranet", "url": "https://intranet.example.com"}
LOGIN = {"username": "ada", "password": "s3cret"}

COMMON: list[dict[str, Any]] = [
    {},
    {"test_name": "Ünïcode “quotes” \\ / 測試"},
    {"agent_selector_type": "all-agents"},
    {"agent_selector_type": "specific-agents", "agents": [AGENT]},
    {"agent_selector_type": "agent-labels", "endpoint_agent_labels": ["12", "13"]},
    {"agent_selector_type": "agent-tags", "tag_ids": [TAG]},
    {"agents": [], "endpoint_agent_labels": [], "tag_ids": []},
    *({"max_machines": count} for count in (0, 1, 100_000, None)),
    *({"ip_version": v} for v in ("V4_ONLY", "V6_ONLY", "V6_PREFER", "OS_DEFAULT", None)),
]
OF_NETWORK: list[dict[str, Any]] = [
    {"server": "203.0.113.7"},
    {"server_name": "voice.example.com"},
    *({"port": port} for port in (0, 80, 65_535, None)),
]
OF_HTTP: list[dict[str, Any]] = [
    {"url": "intranet.example.com:8443/a?b=c"},
    {"auth_type": "none"},
    {"auth_type": "basic", **LOGIN},
    {"auth_type": "ntlm", **LOGIN},
    {"auth_type": "basic", "username": "", "password": ""},
    *({"ssl_version_id": version} for version in ("0", "3", "4", "5", "6", "7", None)),
    *(
        {"protocol": protocol}
        for protocol in (
            *("icmp", "icmp-with-tcp-connect", "tcp", "prefer-tcp", "ast-autodetect"),
            *("autodetect", None),
        )
    ),
    *({"protocol": "tcp", "tcp_probe_mode": mode} for mode in ("auto", "sack", "syn", None)),
    *({"protocol": p, "tcp_probe_mode": "syn"} for p in ("prefer-tcp", "icmp-with-tcp-connect")),
    {"tcp_probe_mode": "auto"},
    *(
        {name: value}
        for name in ("http_time_limit", "target_response_time")
        for value in (0, 100, 60_000, None)
    ),
    *(
        {name: value}
        for name in (
            *("verify_certificate", "network_measurements", "has_path_trace_in_session"),
            *("has_ping", "has_traceroute"),
        )
        for value in (True, False, None)
    ),
]
ACCEPTED = [
    *((AgentToServerTest, NETWORK | fields) for fields in COMMON + OF_NETWORK),
    *((HttpServerTest, HTTP | fields) for fields in COMMON + OF_HTTP),
]


class Listener(ThreadingHTTPServer):
    """Takes creations, and keeps their bodies and media types under the paths they came to."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.heard: list[tuple[str, str | None, object]] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/v7"


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: Listener

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        self.server.heard.append((self.path, self.headers["content-type"], body))
        kind = self.path.split("/")[-2]
        reply = json.dumps({"type": kind, "testId": "7"}).encode()
        self.send_response(201)
        self.send_header("content-type", "application/hal+json")
        self.send_header("content-length", str(len(reply)))
        self.end_headers()
        self.wfile.write(reply)

    def log_message(self, *_: object) -> None: ...


@pytest.fixture(scope="module")
def listener() -> Iterator[Listener]:
    with Listener() as server:
        Thread(target=server.serve_forever, args=[0.05], daemon=True).start()
        yield server
        server.shutdown()


@pytest.fixture(scope="module")
def sdk(listener: Listener) -> Iterator[ApiClient]:
    with ApiClient(Configuration(host=listener.url, access_token=TOKEN)) as client:
        yield client


def create_with(sdk: ApiClient, kind: type[InstantTest], fields: dict[str, Any]) -> None:
    if kind is AgentToServerTest:
        network = AgentToServerEndpointInstantScheduledTestsApi(sdk)
        network.create_agent_to_server_scheduled_instant_test(
            EndpointAgentToServerInstantTest(**fields), aid="12"
        )
    else:
        http = HTTPServerEndpointInstantScheduledTestsApi(sdk)
        http.create_http_server_scheduled_instant_test(
            EndpointHttpServerInstantTest(**fields), aid="12"
        )


@pytest.mark.parametrize(("kind", "fields"), ACCEPTED)
async def test_the_request_is_the_one_that_the_vendors_client_sends(
    listener: Listener, sdk: ApiClient, kind: type[InstantTest], fields: dict[str, Any]
) -> None:
    create_with(sdk, kind, fields)
    theirs = listener.heard.pop()
    settings = ThousandEyesSettings(token=SecretStr(TOKEN), base_url=listener.url)
    async with ThousandEyesClient(settings) as client:
        assert await client.create(kind(**fields), Record("", aid="12")) == "7"
    assert listener.heard.pop() == theirs


def test_the_table_has_every_field_and_every_word_of_both_kinds() -> None:
    for kind, theirs in (
        (AgentToServerTest, EndpointAgentToServerInstantTest),
        (HttpServerTest, EndpointHttpServerInstantTest),
    ):
        rows = [fields for of_kind, fields in ACCEPTED if of_kind is kind]
        assert set().union(*rows) == set(theirs.model_fields) == set(kind.model_fields) - {"type"}
        for name, field in theirs.model_fields.items():
            for words in get_args(field.annotation):
                if isinstance(words, EnumMeta):
                    used = {row[name] for row in rows if row.get(name)}
                    assert used | {"unknown"} == {word.value for word in cast("Any", words)}


def fields_of(table: list[dict[str, Any]]) -> st.SearchStrategy[dict[str, Any]]:
    """Mix rows of a table, so that fields meet that no row brings together."""
    pairs = sorted({(name, json.dumps(v)) for row in table for name, v in row.items()})
    picks = st.lists(st.sampled_from(pairs), max_size=8)
    return picks.map(lambda chosen: {name: json.loads(value) for name, value in chosen})


def can_not_work(fields: dict[str, Any]) -> bool:
    """Say it in other words than the code does: what README lists as refused."""
    lists = {
        "agents": "specific-agents",
        "endpoint_agent_labels": "agent-labels",
        "tag_ids": "agent-tags",
    }
    selected = {selector for name, selector in lists.items() if fields.get(name)}
    wanted = {fields.get("agent_selector_type")} & set(lists.values())
    login = {fields.get(name) is not None for name in LOGIN}
    logs_in = fields.get("auth_type") in ("basic", "ntlm")
    probes_tcp = fields.get("tcp_probe_mode") in ("sack", "syn")
    return (
        selected != wanted
        or login != {logs_in}
        or (probes_tcp and fields.get("protocol") in (None, "icmp"))
    )


@given(fields=fields_of(COMMON + OF_HTTP))
@steady(300)
def test_any_fields_together_are_sent_as_the_vendor_would_or_refused_for_a_reason(
    fields: dict[str, Any],
) -> None:
    fields = HTTP | fields
    theirs = EndpointHttpServerInstantTest(**fields).to_dict()
    if can_not_work(fields):
        with pytest.raises(ValidationError, match=r"needs"):
            HttpServerTest(**fields)
    else:
        assert HttpServerTest(**fields).body() == theirs


@pytest.mark.parametrize(
    ("kind", "fields", "reason"),
    [
        (AgentToServerTest, {"agent_selector_type": "specific-agents"}, "needs agents"),
        (AgentToServerTest, {"agent_selector_type": "specific-agents", "agents": []}, "needs age"),
        (HttpServerTest, {"agent_selector_type": "agent-tags", "agents": [AGENT]}, "agents needs"),
        (
            AgentToServerTest,
            {"agent_selector_type": "agent-labels", "tag_ids": [TAG]},
            "agent_selector_type agent-labels needs endpoint_agent_labels",
        ),
        (AgentToServerTest, {"agents": [AGENT]}, "needs agent_selector_type specific-agents"),
        (HttpServerTest, {"auth_type": "basic"}, "auth_type basic needs username and password"),
        (HttpServerTest, {"auth_type": "ntlm", "username": "ada"}, "ntlm needs password"),
        (HttpServerTest, LOGIN, "username and password needs auth_type basic or ntlm"),
        (HttpServerTest, {"tcp_probe_mode": "sack"}, "tcp_probe_mode sack needs a protocol"),
        (HttpServerTest, {"tcp_probe_mode": "syn", "protocol": "icmp"}, "such as tcp"),
        (HttpServerTest, {"test_name": ""}, "test_name"),
        (AgentToServerTest, {"server": ""}, "server"),
        (AgentToServerTest, {"server": " "}, "server\n.* can be seen"),
        (HttpServerTest, {"url": " \u200b"}, "url\n.* can be seen"),
        (HttpServerTest, {"agents": [True]}, "neither text nor a whole number"),
        (AgentToServerTest, {"prot": 80}, "prot"),
        (AgentToServerTest, {"port": 8080.5}, "port"),
        (AgentToServerTest, {"ip_version": "V5"}, "V4_ONLY"),
    ],
)
def test_what_can_not_work_is_refused_with_the_field_that_is_missing(
    kind: type[InstantTest], fields: dict[str, Any], reason: str
) -> None:
    least = NETWORK if kind is AgentToServerTest else HTTP
    with pytest.raises(ValidationError, match=reason) as refused:
        kind(**least | fields)
    assert "s3cret" not in str(refused.value)


def test_fields_may_be_written_as_the_api_writes_them() -> None:
    written = {"testName": "Voice", "server": "x", "maxMachines": 3, "ipVersion": "V4_ONLY"}
    test = AgentToServerTest.model_validate(written)
    assert test.body() == written | {"port": 443}


def test_ids_may_be_written_as_numbers() -> None:
    test = AgentToServerTest.model_validate(
        NETWORK | {"agent_selector_type": "agent-labels", "endpoint_agent_labels": [12, "13"]}
    )
    assert test.endpoint_agent_labels == ["12", "13"]


def test_a_password_is_shown_by_nothing_but_the_body() -> None:
    test = HttpServerTest(**HTTP | {"auth_type": "basic"} | LOGIN)
    assert "s3cret" not in f"{test!r} {test} {test.model_dump()} {test.model_dump_json()}"
    assert test.body()["password"] == "s3cret"
    assert test.secrets() == ["s3cret"]


def test_every_field_is_described() -> None:
    for kind in (AgentToServerTest, HttpServerTest):
        fields = kind.model_fields.items()
        assert [name for name, field in fields if not field.description] == ["type"]
