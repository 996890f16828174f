"""The calls, through one connection pool; everything that decides is elsewhere."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any, Final, Protocol, Self, TypeVar

import httpx
from pydantic import BaseModel, ValidationError

from thousandeyes.connection import NOT_SENT, http_client, longest_call
from thousandeyes.errors import CallFailed, ReplyLost, Unreachable
from thousandeyes.gate import Admission, QuotaGate, Spends
from thousandeyes.models import AccountGroup, Agent, EndpointTest
from thousandeyes.redaction import Redactor
from thousandeyes.replies import LONGEST_PROBLEM, Family, Reply, confirmation, cut, read, refused
from thousandeyes.rerun import Rerun, clean_test_ids
from thousandeyes.results import next_cursor
from thousandeyes.settings import ThousandEyesSettings

TESTS: Final = "/endpoint/tests/scheduled-tests"
AGENTS: Final = "/endpoint/agents"
LARGEST_LISTING: Final = 20
"""Pages of agents that are read: there may be 100,000 laptops, and each page is a call."""

Item = TypeVar("Item", bound=BaseModel)


class CallRecord(Protocol):
    """What a call keeps up to date: `Rerun` is one."""

    begun: bool
    quota_wait_seconds: float

    def sending(self, at: datetime) -> None:
        """Note that the call goes out now."""

    def failed(self, error: CallFailed) -> None:
        """Note an error."""


async def _nothing() -> None: ...


def _ignore(_: object) -> None: ...


class ThousandEyesClient:
    """One organization's API, within its quota.

    Use it as an async context manager; the pool lives as long as that. Proxy and CA variables
    (`HTTPS_PROXY`, `SSL_CERT_FILE` …) work as in httpx, and loopback goes through no proxy.

    Args:
        settings: Token, account group, address and limits.
        gate: Who may send when; one of its own when left out.
        transport: Stands in for the network, as `httpx.ASGITransport` does.
        clock: The time in epoch seconds.

    Raises:
        SettingsError: A proxy or CA variable can't be used.
    """

    def __init__(
        self,
        settings: ThousandEyesSettings,
        *,
        gate: QuotaGate | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.settings = settings
        self.gate = gate or QuotaGate(
            reserve=settings.quota_reserve, max_wait=settings.max_quota_wait
        )
        self.redact = Redactor(settings.token.get_secret_value())
        self._http = http_client(settings, transport)
        self._longest_call = longest_call(settings)
        self._clock = clock
        self._server_ahead: float | None = None
        self._resources = AsyncExitStack()

    async def __aenter__(self) -> Self:
        self._resources.enter_context(self.redact.guarding_http_logs())
        await self._resources.enter_async_context(self._http)
        return self

    async def __aexit__(self, *exception: object) -> None:
        await self._resources.aclose()

    async def rerun(
        self,
        test_id: str,
        aid: str | None = None,
        *,
        record: Rerun | None = None,
        before_sending: Callable[[], Awaitable[None]] = _nothing,
        on_quota_refusal: Callable[[CallFailed], None] = _ignore,
    ) -> str:
        """Run an endpoint instant scheduled test again, and return the API's words on it.

        A 429 is waited out and sent again; everything else is sent once.

        Args:
            test_id: The ID.
            aid: Account group; the settings' when left out.
            record: Is kept up to date with all that is learned, also when this is cut short.
            before_sending: Awaited when the call may go out, right before it does.
            on_quota_refusal: Is told each 429.

        Raises:
            CallFailed: One of its subclasses.
            InvalidTestIds: This can't be an ID; nothing was sent.
        """
        # It becomes part of the address: an empty one, or one with a slash, would name another.
        [test_id] = clean_test_ids([test_id])
        record = record or Rerun(test_id)
        spends = (Family.ORGANIZATION, Family.INSTANT)
        call = _Call("POST", f"{TESTS}/{test_id}/run", spends, aid)
        try:
            reply = await self._call(call, record, before_sending, on_quota_refusal)
            message = confirmation(read(reply))
        except CallFailed as error:
            record.failed(error)
            raise
        record.accepted(reply.status, message)
        return message

    async def tests(self, aid: str | None = None) -> list[EndpointTest]:
        """List the endpoint scheduled tests. The API doesn't page this list.

        Raises:
            CallFailed: One of its subclasses.
        """
        return await self._list(TESTS, "tests", EndpointTest, aid)

    async def agents(self, aid: str | None = None) -> list[Agent]:
        """List the endpoint agents, as far as `LARGEST_LISTING` pages reach.

        Raises:
            CallFailed: One of its subclasses.
        """
        found: list[Agent] = []
        params: dict[str, str] = {}
        for _ in range(LARGEST_LISTING):
            body = await self.read("GET", AGENTS, params=params, aid=aid)
            found += _items(body, AGENTS, "agents", Agent)
            cursor = next_cursor(body)
            if cursor is None or cursor == params.get("cursor"):
                break
            params = {"cursor": cursor}
        return found

    async def account_groups(self) -> list[AccountGroup]:
        """List the account groups of the token's user: also the cheapest check of a token.

        Raises:
            CallFailed: One of its subclasses.
        """
        return await self._list("/account-groups", "accountGroups", AccountGroup, None)

    async def read(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, str] | None = None,
        body: Mapping[str, Any] | None = None,
        aid: str | None = None,
    ) -> Any:  # noqa: ANN401 - JSON
        """Make a call that changes nothing, and return its JSON: what `results` reads through.

        Raises:
            CallFailed: One of its subclasses.
        """
        call = _Call(method, path, (Family.ORGANIZATION,), aid, params or {}, body)
        return read(await self._call(call, _Reading()))

    def server_time(self, at: float | None = None) -> float | None:
        """Return the server's time in epoch seconds, None before its first reply.

        By the latest reply's `Date`. Never later than it is there, and earlier by no more than
        that reply's way here and the second that a `Date` is cut to.

        Args:
            at: A moment in epoch seconds by the local clock; now when left out.
        """
        if self._server_ahead is None:
            return None
        return (self._clock() if at is None else at) + self._server_ahead

    async def _list(self, path: str, name: str, model: type[Item], aid: str | None) -> list[Item]:
        return _items(await self.read("GET", path, aid=aid), path, name, model)

    async def _call(
        self,
        call: "_Call",
        record: CallRecord,
        before_sending: Callable[[], Awaitable[None]] = _nothing,
        on_quota_refusal: Callable[[CallFailed], None] = _ignore,
    ) -> Reply:
        """Send a call as often as it takes to get another answer than 429."""

        def waited(seconds: float) -> None:
            record.quota_wait_seconds += seconds

        while True:
            async with self.gate.admit(
                call.spends,
                begun=record.begun,
                waited=record.quota_wait_seconds,
                on_wait=waited,
            ) as admission:
                record.sending(datetime.fromtimestamp(self._clock(), UTC))
                await before_sending()
                reply = await self._send(call, admission)
            if reply.status != HTTPStatus.TOO_MANY_REQUESTS:
                return reply
            error = refused(reply)
            record.failed(error)
            on_quota_refusal(error)

    async def _send(self, call: "_Call", admission: Admission) -> Reply:
        aid = call.aid or self.settings.aid
        params = {**call.params, "aid": aid} if aid else call.params
        admission.sent = True
        try:
            async with asyncio.timeout(self._longest_call):
                response = await self._http.request(
                    call.method, call.path, params=params, json=call.body
                )
        except NOT_SENT as error:
            admission.sent = False
            raise Unreachable(f"no connection to the API ({self._reason(error)})") from None
        except (httpx.RequestError, TimeoutError) as error:
            raise ReplyLost(f"sent, and no answer came back ({self._reason(error)})") from None
        admission.reply = Reply(
            status=response.status_code,
            headers=response.headers,
            # Not by the charset that the reply names: Python knows some that are no text.
            body=self.redact(response.content.decode("utf-8-sig", "replace")),
            arrived=self._clock(),
        )
        self._server_ahead = admission.reply.date - admission.reply.arrived
        return admission.reply

    def _reason(self, error: Exception) -> str:
        text = cut(self.redact(str(error)), LONGEST_PROBLEM)
        return f"{type(error).__name__}: {text}" if text else type(error).__name__


def _items(body: object, path: str, name: str, model: type[Item]) -> list[Item]:
    items = body.get(name) if isinstance(body, dict) else None
    try:
        if isinstance(items, list):
            return [model.model_validate(item) for item in items]
    except ValidationError:
        pass
    raise ReplyLost(f"GET {path} answered without a readable list of {name}")


@dataclass(frozen=True)
class _Call:
    """One call of the API, and the families that it spends."""

    method: str
    path: str
    spends: Spends
    aid: str | None
    params: Mapping[str, str] = field(default_factory=dict)
    body: Mapping[str, Any] | None = None


@dataclass
class _Reading:
    """The record of a call that only reads: nothing of it outlives the call."""

    begun: bool = False
    quota_wait_seconds: float = 0.0

    def sending(self, at: datetime) -> None:  # noqa: ARG002 - a record may need the time
        self.begun = True

    def failed(self, error: CallFailed) -> None: ...
