"""How a call gets to the API: over which connection, within the quota, secrets masked."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Set
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any, Final, Self

import httpx

from thousandeyes.body import LARGEST_ANSWER, LARGEST_PAGE, body_of
from thousandeyes.calls import BeforeSending, Call, reason
from thousandeyes.clock import unstepped
from thousandeyes.connection import MOST_CALLS, Tunnel, http_client, longest_call, never_sent
from thousandeyes.errors import CallFailed, ReplyLost, Unreachable
from thousandeyes.families import Family
from thousandeyes.gate import Admission, QuotaGate
from thousandeyes.record import Record
from thousandeyes.redaction import redactor_of_token
from thousandeyes.replies import Reply, read, refused
from thousandeyes.settings import ThousandEyesSettings

READING: Final = (Family.ORGANIZATION,)
"""The quota families that a call spends which only reads."""


class _UnreadReply(Reply):
    """A reply whose body is too large or unreadable: only its status and headers count."""

    @property
    def trustworthy(self) -> bool:
        return False


class Caller:
    """One organization's API, within its quota.

    Use it as an async context manager, which keeps the connection pool open. Proxy and CA variables
    (`HTTPS_PROXY`, `SSL_CERT_FILE` …) work as in httpx; loopback is reached without a proxy.

    Args:
        settings: Token, account group, address and limits.
        gate: Decides who may send when; by default the caller's own.
        transport: Replaces the network, as `httpx.ASGITransport` does.
        clock: Returns epoch seconds; by default `unstepped`, a clock that nobody sets.

    Raises:
        SettingsError: A proxy or CA variable can't be used.
    """

    def __init__(
        self,
        settings: ThousandEyesSettings,
        *,
        gate: QuotaGate | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
        clock: Callable[[], float] | None = None,
    ) -> None:
        self.settings = settings
        self.gate = gate or QuotaGate(
            reserve=settings.quota_reserve, max_wait=settings.max_quota_wait
        )
        self.redact = redactor_of_token(settings.token.get_secret_value())
        self._http = http_client(settings, transport, kept_connections=0)
        self._http_to_read = http_client(settings, transport, kept_connections=MOST_CALLS)
        self._longest_call = longest_call(settings)
        self._clock = clock or unstepped()
        self._server_ahead: float | None = None
        self._resources = AsyncExitStack()

    async def __aenter__(self) -> Self:
        self._resources.enter_context(self.redact.guarding_http_logs())
        await self._resources.enter_async_context(self._http)
        await self._resources.enter_async_context(self._http_to_read)
        return self

    async def __aexit__(self, *exception: object) -> None:
        await self._resources.aclose()

    async def read(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, str] | None = None,
        body: Mapping[str, Any] | None = None,
        aid: str | None = None,
        only: Set[str] | None = None,
    ) -> Any:  # noqa: ANN401 - JSON
        """Make a call that changes nothing, and return its JSON. `results` reads through this.

        Args:
            method: `GET`, or `POST` for filters.
            path: The path below the API's address.
            params: The query.
            body: The filters, as JSON.
            aid: Account group; by default that of the settings.
            only: See `thousandeyes.replies.read`.

        Raises:
            CallFailed: One of its subclasses.
        """
        call = Call(method, path, READING, aid, params or {}, body, only_reads=True)
        return read(await self.call(call, Record("")), only)  # the record is thrown away

    def now(self) -> datetime:
        """Return the time by the client's clock, which also says when a record's call began."""
        return datetime.fromtimestamp(self._clock(), UTC)

    def server_time(self, at: float | None = None) -> float | None:
        """Return the server's time in epoch seconds, None before its first reply.

        It is based on the latest `Date` of a reply, or on our own clock if no reply had one. It is
        never ahead of the server's clock, and behind it by no more than the time that reply took to
        arrive plus one second, because a `Date` is cut to whole seconds.

        Args:
            at: A moment in epoch seconds by this client's clock; by default now.
        """
        if self._server_ahead is None:
            return None
        return (self._clock() if at is None else at) + self._server_ahead

    async def call(
        self,
        call: Call,
        record: Record,
        before_sending: BeforeSending | None = None,
        on_quota_refusal: Callable[[CallFailed], Awaitable[None]] | None = None,
    ) -> Reply:
        """Send a call, again after each 429, until the answer is something else.

        Args:
            call: The call.
            record: Notes each time that the call goes out, and each 429.
            before_sending: Awaited right before the call goes out; once more if it takes so long
                that other calls have used up the quota meanwhile.
            on_quota_refusal: Awaited with each 429.

        Returns:
            The whole reply, whatever its status.

        Raises:
            CallFailed: There is no reply.
        """
        asked, again = self.gate.now(), False
        while True:
            async with self.gate.admit(
                call.spends, begun=record.begun, asked=asked, again=again, on_wait=record.waited
            ) as admission:
                record.sending(self.now())
                if before_sending:
                    began = self.gate.now()
                    again = not await self.gate.make_ready(admission, before_sending())
                    asked += self.gate.now() - began  # this was not a wait for quota
                    if again:
                        record.not_sent("not sent: other calls used up the quota meanwhile")
                        continue
                reply = await self._send(call, admission)
            if reply.status != HTTPStatus.TOO_MANY_REQUESTS:
                return reply
            error = refused(reply)
            record.failed(error)
            if on_quota_refusal:
                began = self.gate.now()
                await on_quota_refusal(error)
                asked += self.gate.now() - began

    async def _send(self, call: Call, admission: Admission) -> Reply:
        aid = call.aid or self.settings.aid
        params = {**call.params, "aid": aid} if aid else call.params
        http = self._http_to_read if call.only_reads else self._http
        largest = LARGEST_PAGE if call.only_reads else LARGEST_ANSWER
        tunnel = Tunnel()
        unread: ReplyLost | None = None
        admission.sent = True
        try:
            async with asyncio.timeout(self._longest_call):
                async with http.stream(
                    call.method,
                    call.path,
                    params=params,
                    json=call.body,
                    extensions={"trace": tunnel.trace},
                ) as response:
                    try:
                        body = await body_of(response, largest)
                    except ReplyLost as error:  # a reply did come, with its headers
                        body, unread = bytearray(), error
        except (httpx.RequestError, TimeoutError) as error:
            why = reason(error, self.redact, call.redact)
            if never_sent(error, tunnel):
                admission.sent = False
                admission.timed_out = isinstance(error, httpx.TimeoutException | TimeoutError)
                where = "no tunnel through the proxy" if tunnel.in_the_making else "no connection"
                raise Unreachable(f"{where} to the API ({why})") from None
            raise ReplyLost(f"sent, and no answer came back ({why})") from None
        admission.reply = (_UnreadReply if unread else Reply)(
            status=response.status_code,
            headers={name: self.redact.data(value) for name, value in response.headers.items()},
            # Ignores the charset that the reply names: some of Python's codecs aren't for text.
            body=self.redact.data(body.decode("utf-8-sig", "replace")),
            arrived=self._clock(),
            redact=lambda text: call.redact(self.redact(text)),
        )
        if admission.reply.tells_time:
            self._server_ahead = admission.reply.date - admission.reply.arrived
        elif self._server_ahead is None:
            self._server_ahead = 0.0
        if unread:
            raise unread
        return admission.reply
