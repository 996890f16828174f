"""Replies that go wrong below HTTP: dropped, stalled, cut in half."""

import asyncio
from typing import cast

from starlette.responses import Response
from starlette.types import Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

_TRANSPORT = "transport"


class DroppableProtocol(H11Protocol):
    """uvicorn's protocol, with the connection's transport in `scope["state"]`."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as in uvicorn
        """Keep the transport where an application can find it."""
        super().connection_made(transport)
        self.app_state = {**self.app_state, _TRANSPORT: transport}


class Lost(Response):
    """A reply that doesn't arrive: nothing at all, or the headers and half of the body.

    Then the connection is closed or, with `hangs`, left open until the other side gives up.
    """

    def __init__(self, half_of: Response | None = None, *, hangs: bool = False) -> None:
        super().__init__()
        self._half_of = half_of
        self._hangs = hangs

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send what should arrive, close, and return when the connection is gone."""
        if reply := self._half_of:
            await send(
                {
                    "type": "http.response.start",
                    "status": reply.status_code,
                    "headers": reply.raw_headers,
                }
            )
            half = reply.body[: len(reply.body) // 2]
            await send({"type": "http.response.body", "body": half, "more_body": True})
        if not self._hangs:
            _close(scope)
        while (await receive())["type"] != "http.disconnect":
            pass


def _close(scope: Scope) -> None:
    transport = cast("asyncio.Transport | None", scope.get("state", {}).get(_TRANSPORT))
    if transport is None:
        # In-process there is nothing to close. Imported here, because only callers that use httpx's
        # own transport get here.
        import httpx  # noqa: PLC0415

        raise httpx.RemoteProtocolError("Server disconnected without sending a whole response.")
    transport.close()
