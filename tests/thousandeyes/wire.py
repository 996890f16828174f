"""A server that says exactly what a test tells it to, byte by byte, and keeps what it was sent."""

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field

Answer = Callable[["Wire", asyncio.StreamWriter], Awaitable[None]]


@dataclass
class Wire:
    """What came in: one text a request, and how many connections brought them."""

    port: int = 0
    requests: list[str] = field(default_factory=list)
    connections: int = 0
    asked: asyncio.Event = field(default_factory=asyncio.Event)


def says(
    body: str = "{}", status: str = "200 OK", kind: str = "application/json", **headers: str
) -> Answer:
    """Answer with this, whole."""
    lines = [f"HTTP/1.1 {status}", f"content-type: {kind}", f"content-length: {len(body.encode())}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return sends("\r\n".join([*lines, "", body]).encode())


def sends(reply: bytes, *, then_drop: bool = False) -> Answer:
    """Answer with these bytes."""

    async def answer(_: Wire, writer: asyncio.StreamWriter) -> None:
        writer.write(reply)
        await writer.drain()
        if then_drop:
            writer.close()

    return answer


async def drops(_: Wire, writer: asyncio.StreamWriter) -> None:
    """Close in good order, having read the request."""
    writer.close()


async def resets(_: Wire, writer: asyncio.StreamWriter) -> None:
    """Reset the connection, having read the request."""
    writer.transport.abort()


async def stalls(_: Wire, __: asyncio.StreamWriter) -> None:
    """Say nothing more."""
    await asyncio.Event().wait()


async def drips(_: Wire, writer: asyncio.StreamWriter) -> None:
    """Send a body that never ends, a byte at a time."""
    writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 100000\r\n\r\n")
    while True:
        writer.write(b" ")
        await writer.drain()
        await asyncio.sleep(0.01)


@contextlib.asynccontextmanager
async def wire(*answers: Answer, tls: ssl.SSLContext | None = None) -> AsyncIterator[Wire]:
    """Serve on loopback: one answer a request in turn, the last one for all that follow."""
    seen = Wire()
    left = list(answers)
    under_way: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task
        under_way.add(task)
        seen.connections += 1
        with contextlib.suppress(OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            while not writer.is_closing():
                head = (await reader.readuntil(b"\r\n\r\n")).decode()
                seen.requests.append(head)
                seen.asked.set()
                await (left.pop(0) if len(left) > 1 else left[0])(seen, writer)
        writer.close()
        under_way.discard(task)

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=tls, backlog=256)
    seen.port = server.sockets[0].getsockname()[1]
    try:
        yield seen
    finally:
        server.close()
        for task in list(under_way):
            task.cancel()
        await asyncio.gather(*under_way, return_exceptions=True)


@contextlib.asynccontextmanager
async def tunnel(server: Wire) -> AsyncIterator[int]:
    """Run a proxy that connects whoever asks to this server; yields its port."""

    async def forward(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(65_536):
                writer.write(data)
                await writer.drain()
        writer.close()

    async def connect(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        there = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
        await asyncio.gather(forward(reader, there[1]), forward(there[0], writer))

    async with await asyncio.start_server(connect, "127.0.0.1", 0) as proxy:
        yield proxy.sockets[0].getsockname()[1]
