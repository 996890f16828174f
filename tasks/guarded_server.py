"""A Prefect server for one machine, which answers no page of another site. Run it as a script.

Prefect limits which pages may read its HTTP API, but not WebSockets: any page that a browser on
this machine has open could follow the events of a server, and start runs by an event. Nor does it
check the name by which it is called. A page whose own name suddenly leads to this machine (DNS
rebinding) is of the server's origin to the browser, and could do anything. Hence a guard in front.
"""

import argparse
import contextlib
import os
import re
import signal
import socket
import sys
import threading
from collections.abc import Collection
from http import HTTPStatus
from typing import Final

from starlette.datastructures import Headers
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from thousandeyes.ports import HOST, bind, port_of
from thousandeyes.settings import is_loopback

_ALLOWED: Final = "PREFECT_SERVER_CORS_ALLOWED_ORIGINS"
_NAME: Final = re.compile(r"(\[[\da-f:.]+\]|[^\s\[\]:/?#@]+)(:\d*)?", re.IGNORECASE)

_NOT_STARTED: Final = 3  # uvicorn's own status
REFUSAL: Final = (
    "This Prefect server answers only this machine, and no web pages but its own: if the address "
    f"is one of yours, add it to {_ALLOWED}, as in http://name:port, and start the server again."
)
"""What anybody else gets, with status 403."""


def may_call(host: str, origin: str | None, allowed: Collection[str]) -> bool:
    """Return whether a request comes from this machine, and not from a page of another site. Pure.

    Args:
        host: The request's header `Host`: the name by which the server is called, and its port.
        origin: Its header `Origin`. Browsers send it with each WebSocket, and with each request
            that changes something or whose answer a page of another site could read.
        allowed: Origins that are the server's too; `*` means all. It may be called by their names.
    """
    if "*" in allowed:
        return True
    name, names = _name(host), {_name(one.partition("://")[2]) for one in allowed}
    if not name or not (is_loopback(name) or name in names):
        return False
    own = (f"http://{host}", f"https://{host}")
    return origin is None or origin in own or origin in allowed


def _name(host: str) -> str:
    """Return a host without its port; nothing if it is malformed."""
    found = _NAME.fullmatch(host)
    return found[1].strip("[]").lower() if found else ""


class Guard:
    """ASGI middleware that refuses each request and WebSocket that `may_call` does not let in."""

    def __init__(self, app: ASGIApp, allowed: Collection[str]) -> None:
        self._app, self._allowed = app, allowed

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer in the server's place, or let it answer."""
        if scope["type"] in ("http", "websocket"):
            headers = Headers(scope=scope)
            if not may_call(headers.get("host", ""), headers.get("origin"), self._allowed):
                refused = JSONResponse({"detail": REFUSAL}, HTTPStatus.FORBIDDEN)
                return await refused(scope, receive, send)
        return await self._app(scope, receive, send)


def main() -> None:
    """Serve until a signal comes, or until the process that started this one ends."""
    parser = argparse.ArgumentParser(prog="python -m tasks.guarded_server", description=__doc__)
    where = parser.add_mutually_exclusive_group(required=True)
    where.add_argument("--port", type=port_of, metavar="N")
    ours = "descriptor of a socket that `bind` gave; end when standard input does"
    where.add_argument("--socket", type=int, metavar="FD", help=ours)
    given = parser.parse_args()
    # Before Prefect is imported, which takes seconds: until then, others could take the port.
    listener = _bind(given.port) if given.port else socket.socket(fileno=given.socket)
    port = listener.getsockname()[1]
    if given.port:
        print(f"Check out the dashboard at http://{HOST}:{port}", flush=True)  # noqa: T201
    else:
        threading.Thread(target=_end_with_parent, daemon=True).start()
    if not os.environ.get(_ALLOWED):
        os.environ[_ALLOWED] = f"http://{HOST}:{port},http://localhost:{port}"
    _serve(listener)


def _serve(listener: socket.socket) -> None:
    # Not before: Prefect reads its settings when it is imported.
    import uvicorn  # noqa: PLC0415
    from prefect.server.api.server import create_app  # noqa: PLC0415
    from prefect.settings import get_current_settings  # noqa: PLC0415

    settings = get_current_settings().server
    app: ASGIApp = create_app(final=True)
    if not settings.api.auth_string:  # with a password, Prefect lets no stranger in by itself
        origins = settings.api.cors_allowed_origins.split(",")
        # Around the app, not in it: Prefect's automations call the app itself, by another name.
        app = Guard(app, frozenset(one.strip() for one in origins))
    level = settings.logging_level.lower()
    server = uvicorn.Server(uvicorn.Config(app, log_level=level, lifespan="on"))
    with contextlib.suppress(KeyboardInterrupt):
        server.run(sockets=[listener])
    if not server.started:
        sys.exit(_NOT_STARTED)
    print("Server stopped!")  # noqa: T201


def _bind(port: int) -> socket.socket:
    try:
        return bind(port)
    except OSError as error:
        sys.exit(f"error: port {port} can't be used: {error.strerror}")


def _end_with_parent() -> None:
    os.read(0, 1)  # nothing is ever written there: the read ends when the parent does
    signal.raise_signal(signal.SIGTERM)


if __name__ == "__main__":
    main()
