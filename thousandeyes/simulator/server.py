"""The simulator on real sockets: in a background thread for tests, or in the foreground."""

import asyncio
import contextlib
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass

import uvicorn
from starlette.applications import Starlette

from thousandeyes.ports import bind

from .wire import DroppableProtocol


@dataclass(frozen=True)
class Address:
    """Where a server answers: the API under `url`, the page at `page`."""

    url: str
    page: str


@contextlib.contextmanager
def serve(app: Starlette, port: int = 0) -> Iterator[Address]:
    """Serve `app` on loopback from a background thread until the block ends.

    Port 0 takes a free port. At the end, open connections are closed at once, even with stalled
    replies.
    """
    listener = listen(port)
    server = Server(app)
    thread = threading.Thread(target=server.run, args=([listener],), name="simulator", daemon=True)
    thread.start()
    while not server.ready.wait(0.1):
        if not thread.is_alive():
            raise RuntimeError("The simulator did not start; its thread's traceback says why.")
    try:
        yield address(listener)
    finally:
        server.should_exit = True
        thread.join()


def listen(port: int) -> socket.socket:
    """Return a socket that listens on this port of the loopback interface; raise `OSError`.

    Loopback only: whoever has the token may do anything, and the token is not a secret. Calls that
    come before a server takes them wait.
    """
    listener = bind(port)
    listener.listen()
    return listener


def address(listener: socket.socket) -> Address:
    """Return the addresses that a bound socket will answer at."""
    host, port = listener.getsockname()
    return Address(url=f"http://{host}:{port}/v7", page=f"http://{host}:{port}/")


class Server(uvicorn.Server):
    """uvicorn with the simulator's own Date, and a shutdown that waits for nobody."""

    def __init__(self, app: Starlette) -> None:
        super().__init__(
            uvicorn.Config(
                app,
                http=DroppableProtocol,
                ws="none",
                lifespan="off",
                log_config=None,
                log_level="critical",
                access_log=False,
                date_header=False,
                server_header=False,
                timeout_graceful_shutdown=1,
            )
        )
        self.ready = threading.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Signal the waiting thread once connections are accepted."""
        await super().startup(sockets)
        self.ready.set()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Close every connection first, because uvicorn would wait for a stalled reply."""
        for connection in list(self.server_state.connections):
            transport = connection.transport
            if isinstance(transport, asyncio.Transport):
                transport.abort()
        await super().shutdown(sockets)
