"""Stands between a process and a server, and misbehaves at will, as networks and proxies do."""

import asyncio
import socket
import struct
from contextlib import suppress
from typing import Final, Self
from urllib.parse import urlsplit

_PAGE: Final = b"<html><body>Please log in</body></html>"


class Proxy:
    """Passes everything on until `mode` says otherwise; a change cuts what is open.

    Modes are `pass`, an HTTP status as digits, `html` (a page with status 200), `refuse` (nobody
    listens, as far as a client can tell), `black-hole` (takes all and says nothing), `reset`,
    `half` (passes the request on, and half of the reply), `stale` (closes a kept connection when
    its second request comes). `received` counts what came in while another mode than `pass` was on,
    `passed` the requests that were passed on.

    Args:
        url: The server's address; its path is kept.
    """

    def __init__(self, url: str) -> None:
        self._server = urlsplit(url)
        self._mode = "pass"
        self._writers: set[asyncio.StreamWriter] = set()
        self.received = self.passed = 0

    async def __aenter__(self) -> Self:
        self._listener = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._listener.close()
        self._cut()

    @property
    def port(self) -> int:
        """The port of the loopback interface on which it listens."""
        port: int = self._listener.sockets[0].getsockname()[1]
        return port

    @property
    def url(self) -> str:
        """Where clients find it."""
        return f"http://127.0.0.1:{self.port}{self._server.path}"

    @property
    def mode(self) -> str:
        """How it behaves."""
        return self._mode

    @mode.setter
    def mode(self, mode: str) -> None:
        self._mode = mode
        self._cut()

    def _cut(self) -> None:
        for writer in self._writers:
            writer.transport.abort()
        self._writers.clear()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        with suppress(OSError, asyncio.IncompleteReadError):
            if self._mode in ("pass", "half", "stale"):
                await self._pass_on(reader, writer)
            elif self._mode == "refuse":
                self.received += 1
                _reset(writer)
            else:
                await self._misbehave(reader, writer)
        writer.close()
        self._writers.discard(writer)

    async def _misbehave(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        self.received += 1
        if self._mode == "black-hole":
            await reader.read()
        elif self._mode == "reset":
            _reset(writer)
        else:
            status, kind, body = "200", b"text/html", _PAGE
            if self._mode != "html":
                status, kind, body = self._mode, b"application/json", b"{}"
            head = b"HTTP/1.1 %b .\r\nconnection: close\r\ncontent-type: %b\r\n"
            writer.write(head % (status.encode(), kind))
            writer.write(b"content-length: %d\r\n\r\n%b" % (len(body), body))
            await writer.drain()

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_connection(self._server.hostname, self._server.port)
        self._writers.add(back)
        answered = asyncio.Event()
        try:
            await asyncio.gather(
                self._requests(reader, back, answered), self._replies(there, writer, answered)
            )
        finally:
            back.transport.abort()
            self._writers.discard(back)

    async def _requests(
        self, reader: asyncio.StreamReader, back: asyncio.StreamWriter, answered: asyncio.Event
    ) -> None:
        while data := await reader.read(65536):
            if self._mode == "stale" and answered.is_set():
                self.received += 1
                raise ConnectionResetError
            self.passed += data.count(b" HTTP/1.1\r\n")
            back.write(data)
            await back.drain()
        back.write_eof()

    async def _replies(
        self, there: asyncio.StreamReader, writer: asyncio.StreamWriter, answered: asyncio.Event
    ) -> None:
        while data := await there.read(65536):
            answered.set()
            if self._mode == "half":
                self.received += 1
                writer.write(data[: len(data) // 2])
                await writer.drain()
                raise ConnectionResetError
            writer.write(data)
            await writer.drain()
        raise ConnectionResetError  # the server closed it, and so do we


def _reset(writer: asyncio.StreamWriter) -> None:
    """Close a connection with RST, as a machine does that knows nothing of it."""
    connection = writer.get_extra_info("socket")
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()
