"""The client on real sockets."""

import asyncio
import datetime
import ipaddress
import json
import logging
import pickle
import socket
import ssl
import time
import traceback
from collections import Counter
from email.utils import formatdate
from pathlib import Path
from typing import Any

import httpx
import pytest
from pydantic import SecretStr

from tests.thousandeyes.agents import every_agent
from tests.thousandeyes.model_server import ModelServer
from tests.thousandeyes.test_results import every
from tests.thousandeyes.virtual_time import run
from tests.thousandeyes.wire import (
    Answer,
    Wire,
    drips,
    drops,
    resets,
    says,
    sends,
    stalls,
    tunnel,
    wire,
)
from thousandeyes.client import ThousandEyesClient
from thousandeyes.connection import MOST_CALLS, longest_call
from thousandeyes.errors import (
    CallFailed,
    Forbidden,
    InvalidCall,
    InvalidTestIds,
    NotFound,
    ReplyLost,
    RunStopped,
    ServerError,
    SettingsError,
    TokenRefused,
    TooManyRequests,
    Unreachable,
)
from thousandeyes.families import Family
from thousandeyes.fleet import MOST_PAGES, Fleet
from thousandeyes.gate import QuotaGate
from thousandeyes.outcomes import Outcome
from thousandeyes.record import Record
from thousandeyes.results import Kind, rounds
from thousandeyes.settings import ThousandEyesSettings
from thousandeyes.simulator import create_app, serve

TOKEN = "0a1b2c3d-4e5f/6789+abcd=ef0123456789"
PATIENT = {"read_timeout": 10.0}
HASTY = {"read_timeout": 0.2}


def client_of(server: Wire | int | str, **options: object) -> ThousandEyesClient:
    port = server.port if isinstance(server, Wire) else server
    url = port if isinstance(port, str) else f"http://127.0.0.1:{port}"
    chosen = ThousandEyesSettings.model_validate(
        {"token": TOKEN, "base_url": url, **PATIENT, **options}
    )
    return ThousandEyesClient(chosen)


def modelled(server: ModelServer) -> ThousandEyesClient:
    """Return a client of a modelled server, on the loop's clock."""
    clock = asyncio.get_running_loop().time

    async def answer(_: httpx.Request) -> httpx.Response:
        status = 200 if server.take(server.limits, clock()) else 429
        reply = server.reply(status, clock())
        return httpx.Response(status, headers=reply.headers, json={})

    chosen = ThousandEyesSettings.model_validate({"token": TOKEN})
    gate = QuotaGate(max_wait=600, clock=clock)
    return ThousandEyesClient(chosen, gate=gate, transport=httpx.MockTransport(answer))


async def failure(client: ThousandEyesClient, record: Record | None = None) -> CallFailed:
    async with client:
        with pytest.raises(CallFailed) as caught:
            await client.rerun(record or Record("765231567"))
    return caught.value


def unused_port() -> int:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        port: int = held.getsockname()[1]
        return port


class TestTheRequest:
    async def test_is_exactly_the_api_s(self) -> None:
        async with wire(says('{"message": "done"}')) as server, client_of(server) as client:
            assert await client.rerun(Record("765231567", aid="1234")) == "done"
        [request] = server.requests
        line, *headers = request.strip().split("\r\n")
        assert line == "POST /v7/endpoint/tests/scheduled-tests/765231567/run?aid=1234 HTTP/1.1"
        sent = {name.lower(): value for name, value in (h.split(": ", 1) for h in headers)}
        assert sent["authorization"] == f"Bearer {TOKEN}"
        assert sent["content-length"] == "0"
        assert sent["host"] == f"127.0.0.1:{server.port}"
        assert sent["accept"] == (
            "application/json, application/hal+json, application/problem+json"
        )
        assert sent["user-agent"].startswith("prefect-thousandeyes/")
        assert not {"content-type", "transfer-encoding", "cookie"} & set(sent)

    @pytest.mark.parametrize(
        ("setting", "argument", "query"),
        [
            (None, None, ""),
            ("12", None, "?aid=12"),
            ("12", "34", "?aid=34"),
            ("a&b", None, "?aid=a%26b"),
        ],
    )
    async def test_names_the_account_group_if_there_is_one(
        self, setting: str | None, argument: str | None, query: str
    ) -> None:
        async with wire(says()) as server, client_of(server, aid=setting) as client:
            await client.rerun(Record("1", aid=argument))
        assert f"/run{query} HTTP" in server.requests[0]

    async def test_goes_out_on_a_connection_of_its_own(self) -> None:
        async with wire(says()) as server, client_of(server) as client:
            for number in range(5):
                await client.rerun(Record(str(number)))
        assert (len(server.requests), server.connections) == (5, 5)

    async def test_to_read_goes_through_one_connection_as_long_as_it_lasts(self) -> None:
        async with wire(says('{"tests": []}')) as server, client_of(server) as client:
            for _ in range(5):
                await client.tests()
        assert (len(server.requests), server.connections) == (5, 1)

    async def test_as_many_as_may_be_under_way_each_get_a_connection(self) -> None:
        all_are_there = asyncio.Barrier(MOST_CALLS)

        async def once_all_are_there(server: Wire, writer: asyncio.StreamWriter) -> None:
            await all_are_there.wait()
            await says()(server, writer)

        room = {
            "x_organization_rate_limit_limit": "1000",
            "x_organization_rate_limit_remaining": "999",
            "x_organization_rate_limit_reset": f"{time.time() + 60:.0f}",
        }
        # The first one goes out alone.
        async with wire(says(**room), once_all_are_there) as server:
            async with client_of(server, pool_timeout=1.0) as client:
                await client.rerun(Record("0"))
                await asyncio.gather(*(client.rerun(Record(f"{n + 1}")) for n in range(MOST_CALLS)))
        assert server.connections == 1 + MOST_CALLS

    @pytest.mark.parametrize("test_id", ["", "1/../2", "1?aid=2", "1 2"])
    async def test_is_not_made_of_what_is_no_id(self, test_id: str) -> None:
        async with wire(says()) as server, client_of(server) as client:
            with pytest.raises(InvalidTestIds):
                await client.rerun(Record(test_id))
        assert server.requests == []

    async def test_is_awaited_by_who_writes_ahead_of_it(self) -> None:
        record = Record("1")

        async def write_ahead() -> None:
            assert record.outcome is Outcome.UNKNOWN
            assert server.requests == []

        async with wire(says()) as server, client_of(server) as client:
            await client.rerun(record, before_sending=write_ahead)
        assert (record.outcome, record.attempts) == (Outcome.ACCEPTED, 1)

    @pytest.mark.parametrize("held_up", [1.0, 30.0])
    def test_is_made_ready_again_where_others_have_taken_the_quota_meanwhile(
        self, held_up: float
    ) -> None:
        made_ready: list[float] = []

        async def main() -> None:
            server = ModelServer({Family.INSTANT: 2}, tells=[Family.INSTANT], by_the_clock=False)
            record = Record("1")
            clock = asyncio.get_running_loop().time

            async def write_ahead() -> None:
                assert (record.outcome, record.attempts) == (Outcome.UNKNOWN, 1)
                made_ready.append(clock())
                await asyncio.sleep(held_up)

            async with modelled(server) as client:
                late = client.rerun(record, before_sending=write_ahead)
                others = (client.rerun(Record(test_id)) for test_id in ("2", "3"))
                await asyncio.gather(late, *others)
            assert (record.outcome, record.attempts) == (Outcome.ACCEPTED, 1)
            assert server.refused == 0

        run(main())
        assert len(made_ready) == (2 if held_up == 30 else 1)

    @pytest.mark.parametrize("held_up", [6.0, 22.0])
    def test_goes_out_after_two_slow_writes_at_most_however_many_wait_with_it(
        self, held_up: float
    ) -> None:
        async def main() -> None:
            server = ModelServer({Family.INSTANT: 24, Family.ORGANIZATION: 240})
            writes: Counter[int] = Counter()

            async def send(number: int) -> None:
                async def write_ahead() -> None:
                    writes[number] += 1
                    await asyncio.sleep(held_up)

                await client.rerun(Record(f"{number}"), before_sending=write_ahead)

            async with modelled(server) as client, asyncio.timeout(10 * 60):
                await asyncio.gather(*map(send, range(50)))
            assert max(writes.values()) <= 2
            assert server.refused == 0

        run(main())

    def test_has_not_waited_for_quota_while_it_was_made_ready(self) -> None:
        async def main() -> None:
            server = ModelServer({Family.INSTANT: 0}, tells=[])
            record = Record("1")

            async def write_ahead() -> None:
                await asyncio.sleep(700)
                server.windows[Family.INSTANT].limit = record.attempts - 1

            async with modelled(server) as client:
                await client.rerun(record, before_sending=write_ahead)
            assert (record.outcome, record.attempts) == (Outcome.ACCEPTED, 2)
            assert record.quota_wait_seconds == pytest.approx(60, abs=1)

        run(main())

    async def test_goes_out_over_ipv6_loopback_too(self) -> None:
        assert isinstance(await failure(client_of(f"http://[::1]:{unused_port()}")), Unreachable)


class TestWhatBecomesOfIt:
    @pytest.mark.parametrize(
        ("answer", "error", "outcome"),
        [
            (drops, ReplyLost, Outcome.UNKNOWN),
            (resets, ReplyLost, Outcome.UNKNOWN),
            (
                sends(b"HTTP/1.1 200 OK\r\ncontent-length: 99\r\n\r\n{", then_drop=True),
                ReplyLost,
                Outcome.UNKNOWN,
            ),
            (sends(b"HTTP/1.1 200 OK\r\ncontent-", then_drop=True), ReplyLost, Outcome.UNKNOWN),
            (sends(b"SSH-2.0-OpenSSH_9.9\r\n", then_drop=True), ReplyLost, Outcome.UNKNOWN),
            (says("not gzip", content_encoding="gzip"), ReplyLost, Outcome.UNKNOWN),
            (says("<html><title>Sign in</title>"), ReplyLost, Outcome.UNKNOWN),
            (says("Sign in", kind="text/html"), ReplyLost, Outcome.UNKNOWN),
            (
                says(status="302 Found", location="https://elsewhere.example"),
                InvalidCall,
                Outcome.INVALID,
            ),
            (says(status="302 Found", location="http://[nowhere"), InvalidCall, Outcome.INVALID),
            (says(status="400 Bad Request"), InvalidCall, Outcome.INVALID),
            (says(status="401 Unauthorized"), TokenRefused, Outcome.FORBIDDEN),
            (says(status="403 Forbidden"), Forbidden, Outcome.FORBIDDEN),
            (says(status="404 Not Found"), NotFound, Outcome.NOT_FOUND),
            (
                says("<html>", status="502 Bad Gateway", kind="text/html"),
                ServerError,
                Outcome.SERVER_ERROR,
            ),
            (says(status="503 Service Unavailable"), ServerError, Outcome.SERVER_ERROR),
        ],
    )
    async def test_is_told_by_type_and_it_was_sent_once(
        self, answer: Answer, error: type[CallFailed], outcome: Outcome
    ) -> None:
        record = Record("765231567")
        async with wire(answer) as server:
            assert type(await failure(client_of(server), record)) is error
        assert (record.outcome, record.attempts) == (outcome, 1)
        assert len(server.requests) == 1

    @pytest.mark.parametrize(
        "answer",
        [
            says("{}", kind="text/plain"),
            says("", status="204 No Content", kind="application/json"),
            says("\ufeff{}"),
            says("whatever", kind="application/octet-stream"),
            *(
                says("{}", kind=f"application/json; charset={c}")
                for c in ("hex", "idna", "zlib", "?")
            ),
        ],
    )
    async def test_is_a_success_whatever_the_body_is_called(self, answer: Answer) -> None:
        async with wire(answer) as server, client_of(server) as client:
            assert await client.rerun(Record("1")) == ""

    async def test_a_refused_connection_was_never_sent(self) -> None:
        record = Record("765231567")
        error = await failure(client_of(unused_port()), record)
        assert isinstance(error, Unreachable)
        assert record.outcome is Outcome.UNREACHABLE

    async def test_an_unknown_host_was_never_sent(self) -> None:
        error = await failure(client_of("https://api.thousandeyes.invalid"))
        assert isinstance(error, Unreachable)

    async def test_a_stalled_reply_is_lost(self) -> None:
        async with wire(stalls) as server:
            assert isinstance(await failure(client_of(server, **HASTY)), ReplyLost)

    async def test_a_reply_that_drips_in_is_lost_in_the_end(self) -> None:
        quick = {"read_timeout": 0.1, "connect_timeout": 0.1}
        quick |= {"pool_timeout": 0.1, "write_timeout": 0.1}
        async with wire(drips) as server:
            client = client_of(server, **quick)
            began = time.monotonic()
            assert isinstance(await failure(client), ReplyLost)
            assert time.monotonic() - began >= longest_call(client.settings)

    def test_a_call_is_given_up_only_after_all_that_tells_it_was_not_sent(self) -> None:
        chosen = ThousandEyesSettings.model_validate({"token": TOKEN, "read_timeout": 0.1})
        assert longest_call(chosen) > chosen.pool_timeout + 2 * chosen.connect_timeout

    async def test_a_redirect_is_not_followed_and_the_token_goes_nowhere_else(self) -> None:
        async with wire(says()) as other:
            location = f"http://127.0.0.1:{other.port}/v7"
            async with wire(says(status="307 Temporary Redirect", location=location)) as server:
                assert isinstance(await failure(client_of(server)), InvalidCall)
        assert (len(server.requests), other.connections) == (1, 0)

    async def test_a_429_is_waited_out_and_sent_again(self) -> None:
        server_s_clock = time.time() + 3600
        window = {
            "date": formatdate(server_s_clock, usegmt=True),
            "x_instant_test_rate_limit_limit": "24",
            "x_instant_test_rate_limit_remaining": "0",
            "x_instant_test_rate_limit_reset": str(int(server_s_clock) - 1),
        }
        heard: list[CallFailed] = []

        async def hear(error: CallFailed) -> None:
            heard.append(error)

        record = Record("1")
        async with (
            wire(says(status="429 Too Many Requests", **window), says()) as server,
            client_of(server) as client,
        ):
            await client.rerun(record, on_quota_refusal=hear)
        assert [type(error) for error in heard] == [TooManyRequests]
        assert (record.outcome, record.attempts) == (Outcome.ACCEPTED, 2)
        # The wait begins within its second, and is counted from a little after it has begun.
        assert 0.5 < record.quota_wait_seconds < 30, "a second, whatever the clocks say"
        assert not record.maybe_duplicate

    async def test_a_cut_call_is_unknown(self) -> None:
        record = Record("1")
        async with wire(stalls) as server, client_of(server) as client:
            call = asyncio.ensure_future(client.rerun(record))
            await asyncio.wait_for(server.asked.wait(), 10)
            call.cancel()
            with pytest.raises(asyncio.CancelledError):
                await call
            assert client.gate.quota.families.popitem()[1].in_flight == 0
        assert record.outcome is Outcome.UNKNOWN

    async def test_a_stopped_gate_sends_nothing(self) -> None:
        record = Record("1")
        async with wire(says()) as server, client_of(server) as client:
            client.gate.stop("cancelled", begun_too=False)
            with pytest.raises(RunStopped):
                await client.rerun(record)
        assert (record.outcome, record.detail) == (Outcome.NOT_ATTEMPTED, "cancelled")
        assert server.requests == []


class TestProxies:
    @pytest.mark.parametrize("name", ["HTTP_PROXY", "ALL_PROXY", "http_proxy"])
    @pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
    async def test_loopback_goes_through_none(
        self, name: str, host: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv(name, f"http://127.0.0.1:{unused_port()}")
        async with (
            wire(says('{"message": "direct"}')) as server,
            client_of(f"http://{host}:{server.port}") as client,
        ):
            assert await client.rerun(Record("1")) == "direct"

    @pytest.mark.parametrize("name", ["HTTPS_PROXY", "ALL_PROXY"])
    async def test_the_api_goes_through_the_one_that_is_set(
        self, name: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        async with wire(says(status="403 Forbidden by the proxy")) as proxy:
            monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")
            error = await failure(client_of("https://api.thousandeyes.com"))
        assert isinstance(error, Unreachable)
        [request] = proxy.requests
        assert request.startswith("CONNECT api.thousandeyes.com:443 ")
        assert TOKEN not in request

    @pytest.mark.parametrize(
        "answer",
        [
            drops,
            resets,
            stalls,
            sends(b"HTTP/1.1 2", then_drop=True),
            sends(b"SSH-2.0-a proxy of another kind\r\n\r\n"),
            sends(b"HTTP/1.1 200 OK\r\n\r\n", then_drop=True),
            sends(b"HTTP/1.1 200 OK\r\n\r\nno TLS"),
        ],
    )
    async def test_a_tunnel_that_never_stood_is_unreachable(
        self, answer: Answer, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        record = Record("765231567")
        async with wire(answer) as proxy:
            monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{proxy.port}")
            client = client_of("https://api.thousandeyes.com", **HASTY, connect_timeout=0.2)
            error = await failure(client, record)
        assert isinstance(error, Unreachable)
        assert record.outcome is Outcome.UNREACHABLE
        assert not record.in_doubt

    async def test_a_tunnel_that_takes_longer_than_a_call_may_is_unreachable(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        async with wire(stalls) as proxy:
            monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{proxy.port}")
            monkeypatch.setattr("thousandeyes.caller.longest_call", lambda _: 0.3)
            assert isinstance(await failure(client_of("https://api.thousandeyes.com")), Unreachable)

    async def test_what_is_lost_behind_a_tunnel_that_stood_is_in_doubt(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        tls, certificate = self_signed(tmp_path)
        async with wire(drops, tls=tls) as server, tunnel(server) as proxy:
            monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
            monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{proxy}")
            record = Record("765231567")
            error = await failure(client_of("https://api.thousandeyes.com"), record)
        assert isinstance(error, ReplyLost)
        assert record.outcome is Outcome.UNKNOWN

    async def test_one_that_is_not_there_is_unreachable(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{unused_port()}")
        assert isinstance(await failure(client_of("https://api.thousandeyes.com")), Unreachable)

    @pytest.mark.parametrize(
        ("name", "value"),
        [
            ("HTTPS_PROXY", "gopher://user:s3cret@proxy"),
            ("HTTPS_PROXY", "http://s3cret:99999"),
            ("HTTPS_PROXY", "http://user:s3cret/@proxy:port"),
            ("ALL_PROXY", "socks5://user:s3cret@proxy:1080"),
            ("SSL_CERT_FILE", "/nowhere/s3cret.pem"),
        ],
    )
    def test_a_variable_that_can_not_be_used_is_told_without_its_value(
        self, name: str, value: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv(name, value)
        with pytest.raises(SettingsError, match=name) as caught:
            client_of("https://api.thousandeyes.com")
        assert "s3cret" not in "".join(traceback.format_exception(caught.value))


def self_signed(folder: Path) -> tuple[ssl.SSLContext, Path]:
    """Make a server's TLS context, for 127.0.0.1 and the API, and its certificate's file."""
    pytest.importorskip("cryptography")
    from cryptography import x509  # noqa: PLC0415 - not among what this project asks for
    from cryptography.hazmat.primitives import hashes, serialization  # noqa: PLC0415
    from cryptography.hazmat.primitives.asymmetric import ec  # noqa: PLC0415

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "a test")])
    today = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(today - datetime.timedelta(days=1))
        .not_valid_after(today + datetime.timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName(
                [
                    x509.IPAddress(ipaddress.ip_address("127.0.0.1")),
                    x509.DNSName("api.thousandeyes.com"),
                ]
            ),
            critical=False,
        )
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    both, public = folder / "both.pem", folder / "public.pem"
    public.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    both.write_bytes(
        public.read_bytes()
        + key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(both)
    return context, public


class TestTls:
    async def test_ssl_cert_file_is_respected(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        context, certificate = self_signed(tmp_path)
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
        async with (
            wire(says('{"message": "trusted"}'), tls=context) as server,
            client_of(f"https://127.0.0.1:{server.port}") as client,
        ):
            assert await client.rerun(Record("1")) == "trusted"

    async def test_a_certificate_that_nobody_vouches_for_is_unreachable(
        self, tmp_path: Path
    ) -> None:
        context, _ = self_signed(tmp_path)
        async with wire(says(), tls=context) as server:
            error = await failure(client_of(f"https://127.0.0.1:{server.port}"))
        assert isinstance(error, Unreachable)
        assert server.requests == []

    async def test_a_server_that_speaks_no_tls_is_unreachable(self) -> None:
        answer = sends(b"HTTP/1.1 400 Bad Request\r\n\r\n", then_drop=True)
        async with wire(answer) as server:
            client = client_of(f"https://127.0.0.1:{server.port}", connect_timeout=1.0)
            assert isinstance(await failure(client), Unreachable)


IN_JSON = json.dumps(TOKEN).replace("/", r"\/")
ESCAPED = "".join(f"\\u{ord(c):04x}" for c in TOKEN)
REPEATS: list[Answer] = [
    says(f'{{"message": {IN_JSON}}}', x_echo=TOKEN),
    says(f'{{"message": "{ESCAPED}"}}', status=f"200 {TOKEN}"),
    says(f'{{"title": "{ESCAPED}", "detail": {IN_JSON}}}', status=f"401 {TOKEN}", x_echo=TOKEN),
    says(f'{{"errors": [{{"field": {IN_JSON}, "message": "{ESCAPED}"}}]}}', status="400 Bad"),
    says(f"<html><title>{TOKEN}</title>", status=f"502 {TOKEN}", kind="text/html"),
    says(f"<html>{''.join(f'&#{ord(c)};' for c in TOKEN)}", kind="text/html"),
    says(f"you sent {TOKEN}", status="403 Forbidden", kind="text/plain"),
    says(status="302 Found", location=f"https://elsewhere.example/{TOKEN}"),
    says(status="302 Found", location=f"http://[{TOKEN}"),
    sends(f"HTTP/1.1 {TOKEN}\r\n\r\n".encode(), then_drop=True),
    sends(f"HTTP/1.1 200 OK\r\n{TOKEN}\r\n\r\n".encode(), then_drop=True),
    drops,
]


@pytest.mark.parametrize("answer", REPEATS)
async def test_the_token_appears_nowhere_though_the_server_repeats_it(
    answer: Answer, caplog: pytest.LogCaptureFixture
) -> None:
    for name in (None, "httpx", "httpcore", "asyncio"):
        caplog.set_level(logging.DEBUG, logger=name)
    record = Record("765231567")
    told: list[object] = [record]
    async with wire(answer) as server:
        client = client_of(server)
        told += [client, vars(client), client.settings, vars(client.settings)]
        async with client:
            try:
                told.append(await client.rerun(record))
            except CallFailed as error:
                told += [error, str(error), "".join(traceback.format_exception(error))]
                told += [pickle.dumps(error), error.__dict__]
    assert any(message.startswith("HTTP Request: POST") for message in caplog.messages) or (
        record.outcome is Outcome.UNKNOWN
    )
    assert any(entry.name == "httpcore.http11" for entry in caplog.records)
    told += [caplog.text, *(vars(entry) for entry in caplog.records)]
    ways = (TOKEN, IN_JSON[1:-1], ESCAPED)
    assert not [text for text in map(repr, told) if any(way in text for way in ways)]


class TestListings:
    async def test_tests_are_listed_with_what_is_known_of_them(self) -> None:
        body = {
            "tests": [
                {"testId": "1", "testName": "Intranet", "type": "http-server", "new": {"a": 1}},
                {"testId": 2, "testName": None, "isEnabled": None},
            ],
            "_links": {"self": {"href": "https://api.thousandeyes.com/v7"}},
        }
        async with (
            wire(says(json.dumps(body), kind="application/hal+json")) as server,
            client_of(server, aid="12") as client,
        ):
            first, second = await client.tests()
        assert (first.test_id, first.test_name, first.type) == ("1", "Intranet", "http-server")
        assert (second.test_id, second.test_name, second.is_enabled) == ("2", "", None)
        assert server.requests[0].startswith("GET /v7/endpoint/tests/scheduled-tests?aid=12 ")

    async def test_account_groups_are_listed(self) -> None:
        body = {
            "accountGroups": [
                {"aid": "11", "accountGroupName": "Berlin", "isCurrentAccountGroup": True},
                {"aid": 12},
            ]
        }
        async with wire(says(json.dumps(body))) as server, client_of(server) as client:
            first, second = await client.account_groups()
        assert (first.aid, first.name, first.is_current) == ("11", "Berlin", True)
        assert (second.aid, second.name, second.is_current) == ("12", "", False)
        assert server.requests[0].startswith("GET /v7/account-groups HTTP/1.1")

    @pytest.mark.parametrize(
        "body",
        [
            "",
            "null",
            "[]",
            "7",
            '"tests"',
            "{}",
            '{"tests": null}',
            '{"tests": ""}',
            '{"tests": {}}',
            '{"tests": {"1": 2}}',
            '{"tests": [1]}',
            '{"tests": [null]}',
            '{"tests": [{}]}',
            '{"tests": [{"testId": null}]}',
            '{"tests": [{"testId": {"deep": 1}}]}',
            "<html>",
            "[" * 100_000,
        ],
        ids=lambda body: body[:30],
    )
    async def test_an_odd_body_is_no_listing(self, body: str) -> None:
        async with wire(says(body)) as server, client_of(server) as client:
            with pytest.raises(ReplyLost):
                await client.tests()

    async def test_a_refused_token_is_told(self) -> None:
        body = '{"error": "invalid_token", "error_description": "Invalid access token"}'
        async with (
            wire(says(body, status="401 Unauthorized")) as server,
            client_of(server) as client,
        ):
            with pytest.raises(TokenRefused, match="Invalid access token"):
                await client.account_groups()


class TestAgents:
    async def read(self, client: ThousandEyesClient, **told: Any) -> Fleet:
        fleet = Fleet()
        async for page in client.agents(**told):
            fleet.take(page, client.server_time() or 0.0)
        return fleet

    async def test_all_pages_are_read(self) -> None:
        with serve(create_app(token=TOKEN, agents=25, page_size=10)) as server:
            async with client_of(server.url) as client:
                agents = await every_agent(client)
        assert len({agent.agent_id for agent in agents}) == 25
        assert all(agent.name and agent.last_seen for agent in agents)

    async def test_a_large_page_is_asked_for_so_that_5000_agents_take_few_calls(self) -> None:
        app = create_app(token=TOKEN, agents=5_000, page_size=1_000)
        with serve(app) as server:
            async with client_of(server.url) as client:
                fleet = await self.read(client)
        assert len(app.state.simulator.calls) == 5
        assert fleet.complete
        assert fleet.total == len(fleet.names) == 5_000
        assert fleet.online == {a.id for a in app.state.simulator.agents if a.is_online}

    async def test_by_pages_of_100_they_are_all_read_too(self) -> None:
        app = create_app(token=TOKEN, agents=5_000, page_size=100)
        with serve(app) as server:
            async with client_of(server.url) as client:
                assert (await self.read(client)).complete
        assert len(app.state.simulator.calls) == 50

    async def test_beyond_the_bound_nothing_is_read_and_that_is_told(self) -> None:
        app = create_app(token=TOKEN, agents=MOST_PAGES + 5, page_size=1)
        with serve(app) as server:
            async with client_of(server.url) as client:
                fleet = await self.read(client)
        assert len(app.state.simulator.calls) == MOST_PAGES
        assert not fleet.complete
        assert fleet.shortfall == "Only 60 of 65 agents were read, in at most 60 calls."

    async def test_an_api_that_refuses_so_large_a_page_chooses_its_size(self) -> None:
        refusal = says('{"title": "max is too large"}', "400 Bad Request")
        listed = says('{"agents": [{"id": "a"}], "totalAgents": 1}')
        async with wire(refusal, listed) as server, client_of(server) as client:
            assert (await self.read(client)).complete
        assert ["max=1000" in request for request in server.requests] == [True, False]

    async def test_one_that_refuses_everything_is_asked_no_third_time(self) -> None:
        refusal = says('{"title": "No"}', "400 Bad Request")
        async with wire(refusal) as server, client_of(server) as client:
            with pytest.raises(InvalidCall):
                await self.read(client)
        assert len(server.requests) == 2

    async def test_a_list_that_ends_before_the_count_is_not_all(self) -> None:
        async with wire(says('{"agents": [{"id": "a"}], "totalAgents": 3}')) as server:
            async with client_of(server) as client:
                fleet = await self.read(client)
        assert not fleet.complete
        assert fleet.shortfall == "The API counts 3 agents and lists 1 of them."

    async def test_a_cursor_that_comes_again_ends_it(self) -> None:
        link = {"next": {"href": "https://elsewhere.invalid/?cursor=x"}}
        body = json.dumps({"agents": [{"id": "a"}], "_links": link})
        async with wire(says(body)) as server, client_of(server) as client:
            assert not (await self.read(client)).complete
        assert len(server.requests) == 2
        assert "cursor=x" in server.requests[1]

    @pytest.mark.parametrize(("total", "shortfall"), [(2, ""), (3, "counts 3 agents and lists 2")])
    async def test_a_page_that_links_to_one_before_is_the_last_if_there_is_a_count(
        self, total: int, shortfall: str
    ) -> None:
        bodies = [
            json.dumps(
                {
                    "agents": [{"id": agent_id}],
                    "totalAgents": total,
                    "_links": {"next": {"href": f"/?cursor={cursor}"}},
                }
            )
            for agent_id, cursor in ("ax", "by", "bx")
        ]
        async with wire(*map(says, bodies)) as server, client_of(server) as client:
            fleet = await self.read(client)
        assert len(server.requests) == 3
        assert fleet.complete is (not shortfall)
        assert shortfall in fleet.shortfall

    async def test_of_account_groups_of_their_own(self) -> None:
        async with wire(says('{"agents": []}')) as server, client_of(server) as client:
            assert not (await self.read(client, aid="34")).names
        assert "/endpoint/agents?max=1000&aid=34 " in server.requests[0]

    @pytest.mark.parametrize("page_size", [1_000, 60])
    async def test_those_that_matter_are_asked_for_alone(self, page_size: int) -> None:
        app = create_app(token=TOKEN, agents=2_000, page_size=page_size)
        wanted = {agent.id: agent.name for agent in app.state.simulator.agents[::5]}
        with serve(app) as server:
            async with client_of(server.url) as client:
                fleet = await self.read(client, chosen=wanted)
        calls = app.state.simulator.calls
        assert {(call.method, call.path) for call in calls} == {
            ("POST", "/v7/endpoint/agents/filter")
        }
        assert len(calls) == 2 * -(-200 // page_size)
        assert fleet.names == wanted
        assert fleet.complete

    async def test_what_is_asked_for_and_gone_is_no_shortfall(self) -> None:
        app = create_app(token=TOKEN, agents=3)
        with serve(app) as server:
            async with client_of(server.url) as client:
                known = app.state.simulator.agents[0].id
                fleet = await self.read(client, chosen=[known, "gone"])
        assert fleet.complete
        assert set(fleet.names) == {known}

    @pytest.mark.parametrize("most", [4, 5])  # at the end of 200 IDs, and within
    async def test_the_bound_is_one_for_all_calls_that_it_takes(self, most: int) -> None:
        app = create_app(token=TOKEN, agents=1_000, page_size=100)
        chosen = [agent.id for agent in app.state.simulator.agents]
        with serve(app) as server:
            async with client_of(server.url) as client:
                fleet = await self.read(client, chosen=chosen, calls=range(most))
        assert len(app.state.simulator.calls) == most
        assert not fleet.complete


class TestTheServersTime:
    @pytest.mark.parametrize("ahead", [0, 3600, -3600])
    async def test_is_read_off_the_latest_reply(self, ahead: int) -> None:
        now = [1_800_000_000.9]
        date = formatdate(int(now[0]) + ahead, usegmt=True)
        transport = httpx.MockTransport(
            lambda _: httpx.Response(200, json={}, headers={"Date": date})
        )
        chosen = ThousandEyesSettings(token=SecretStr(TOKEN))
        client = ThousandEyesClient(chosen, transport=transport, clock=lambda: now[0])
        async with client:
            assert client.server_time() is None
            await client.rerun(Record("1"))
            now[0] += 100
            told = client.server_time()
            assert told is not None
            # Never later than it is there, and no more than a second earlier.
            assert 0 <= now[0] + ahead - told <= 1
            assert client.server_time(now[0] - 100) == pytest.approx(told - 100)

    @pytest.mark.parametrize(
        "other",
        [
            httpx.Response(503, text="upstream is away"),
            httpx.Response(200, html="<html>", headers={"Date": formatdate(0, usegmt=True)}),
        ],
        ids=["no date", "a portal's page"],
    )
    async def test_is_not_read_off_what_stands_before_the_server(
        self, other: httpx.Response
    ) -> None:
        date = formatdate(1_800_000_600, usegmt=True)
        answers = [httpx.Response(200, json={}, headers={"Date": date}), other]
        transport = httpx.MockTransport(lambda _: answers.pop(0))
        chosen = ThousandEyesSettings(token=SecretStr(TOKEN))
        async with ThousandEyesClient(
            chosen, transport=transport, clock=lambda: 1_800_000_000.0
        ) as client:
            await client.rerun(Record("1"))
            with pytest.raises(CallFailed):
                await client.rerun(Record("2"))
            assert client.server_time() == 1_800_000_600

    async def test_is_our_own_where_only_a_portal_has_answered(self) -> None:
        date = formatdate(0, usegmt=True)
        transport = httpx.MockTransport(
            lambda _: httpx.Response(200, html="<html>", headers={"Date": date})
        )
        chosen = ThousandEyesSettings(token=SecretStr(TOKEN))
        async with ThousandEyesClient(chosen, transport=transport, clock=lambda: 9.0) as client:
            with pytest.raises(CallFailed):
                await client.rerun(Record("1"))
            assert client.server_time() == 9

    async def test_does_not_jump_when_somebody_sets_this_machines_clock(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        now = [time.time()]
        monkeypatch.setattr(time, "time", lambda: now[0])
        date = formatdate(now[0], usegmt=True)
        transport = httpx.MockTransport(
            lambda _: httpx.Response(200, json={}, headers={"Date": date})
        )
        chosen = ThousandEyesSettings(token=SecretStr(TOKEN))
        record = Record("1")
        async with ThousandEyesClient(chosen, transport=transport) as client:
            await client.rerun(record)
            before = client.server_time()
            now[0] += 3600
            assert client.server_time() == pytest.approx(before, abs=60)
            # A call after the step is as much later as it is, not by an hour.
            await client.rerun(later := Record("2"))
        assert record.started_at is not None
        assert later.started_at is not None
        assert (later.started_at - record.started_at).total_seconds() < 60


def test_a_client_can_not_be_pickled_with_its_token() -> None:
    with pytest.raises(TypeError):
        pickle.dumps(client_of(1))


def test_a_transport_can_stand_in_for_the_network() -> None:
    async def main() -> str:
        transport = httpx.MockTransport(lambda _: httpx.Response(200, json={"message": "hi"}))
        chosen = ThousandEyesSettings(token=SecretStr(TOKEN))
        async with ThousandEyesClient(chosen, transport=transport) as client:
            return await client.rerun(Record("1"))

    assert asyncio.run(main()) == "hi"


async def test_the_simulator_is_understood() -> None:
    with serve(create_app(tests=["202701"], token=TOKEN)) as server:
        async with client_of(server.url) as client:
            assert "202701" in await client.rerun(Record("202701"))
            assert [test.test_id for test in await client.tests()] == ["202701"]
            assert await client.account_groups()
            with pytest.raises(NotFound):
                await client.rerun(Record("1"))
        async with client_of(server.url, token="another") as client:
            with pytest.raises(TokenRefused):
                await client.rerun(Record("202701"))


async def test_results_are_read_through_the_client_within_the_organization_s_quota() -> None:
    app = create_app(
        token=TOKEN,
        tests=["202701"],
        page_size=3,
        results_after_seconds=0.1,
        window_seconds=600,  # none ends meanwhile
        windows="first_call",
    )
    with serve(app, port=0) as server:
        async with client_of(server.url) as client:
            await client.rerun(Record("202701"))
            network = Kind.NETWORK
            async with asyncio.timeout(30):
                while not (rows := await every(rounds(client.read, network, ["202701"], since=0))):  # noqa: ASYNC110 - the server tells no event
                    await asyncio.sleep(0.05)
            told = client.gate.quota.families[Family.ORGANIZATION].told
    assert {row.test_id for row in rows} == {"202701"}
    assert told
    assert told.remaining == told.limit - len(app.state.simulator.calls)
