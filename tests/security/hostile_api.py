"""An API that means harm, on loopback: what it answers, for `tests.thousandeyes.wire`."""

import asyncio
import gzip
import json
import struct
import tracemalloc
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import cache

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from tests.thousandeyes.wire import Answer, Wire, sends
from thousandeyes.client import ThousandEyesClient
from thousandeyes.settings import ThousandEyesSettings

TOKEN = "0a1b2c3d-4e5f-6789-abcd-ef0123456789"
MEGABYTE = 1_000_000


def client_of(server: Wire, token: str = TOKEN, **settings: object) -> ThousandEyesClient:
    """Return a client that takes this server for the API."""
    url = f"http://127.0.0.1:{server.port}"
    chosen = {"token": token, "base_url": url, "read_timeout": 10.0, **settings}
    return ThousandEyesClient(ThousandEyesSettings.model_validate(chosen))


def replies(body: bytes, *headers: str, status: str = "200 OK") -> Answer:
    """Answer with these bytes, whatever they are."""
    lines = [f"HTTP/1.1 {status}", f"content-length: {len(body)}", *headers, "", ""]
    return sends("\r\n".join(lines).encode() + body)


def packed(body: bytes) -> Answer:
    """Answer with a body that is packed."""
    return replies(gzip.compress(body, 1), "content-encoding: gzip")


def gzip_bomb(megabytes: int, *, status: str = "200 OK") -> Answer:
    """Answer with so many megabytes, packed into a thousandth of it."""
    return replies(_bomb(megabytes), "content-encoding: gzip", status=status)


@cache
def _bomb(megabytes: int) -> bytes:
    packer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    # What comes after a full flush is packed without a look back: once is enough for all.
    piece = packer.compress(b" " * MEGABYTE) + packer.flush(zlib.Z_FULL_FLUSH)
    checksum = 0
    for _ in range(megabytes):
        checksum = zlib.crc32(b" " * MEGABYTE, checksum)
    end = packer.flush() + struct.pack("<LL", checksum, megabytes * MEGABYTE)
    return gzip.compress(b"")[:10] + megabytes * piece + end


def never_ends(piece: bytes = b" " * 60_000, *headers: str) -> Answer:
    """Answer with a body that has no end, as fast as it is taken."""

    async def answer(_: Wire, writer: asyncio.StreamWriter) -> None:
        lines = ["HTTP/1.1 200 OK", "transfer-encoding: chunked", *headers, "", ""]
        writer.write("\r\n".join(lines).encode())
        while True:
            writer.write(b"%x\r\n%b\r\n" % (len(piece), piece))
            await writer.drain()
            await asyncio.sleep(0)

    return answer


def pages(rows: Callable[[int], object], name: str = "results") -> Answer:
    """Answer each call with another page, which names a next one that never came before."""
    number = 0

    async def answer(wire: Wire, writer: asyncio.StreamWriter) -> None:
        nonlocal number
        number += 1
        link = {"next": {"href": f"https://elsewhere.invalid/?cursor={number}"}}
        await replies(json.dumps({name: rows(number), "_links": link}).encode())(wire, writer)

    return answer


def closes_what_is_kept(answer: Answer) -> Answer:
    """Answer on new connections; when another request comes on one, close it and say nothing."""
    used: set[asyncio.StreamWriter] = set()

    async def closing(wire: Wire, writer: asyncio.StreamWriter) -> None:
        if writer in used:
            writer.close()
            return
        used.add(writer)
        await answer(wire, writer)

    return closing


@contextmanager
def most_memory() -> Iterator[Callable[[], float]]:
    """Trace what is allocated; yields what tells the peak, in megabytes above the beginning."""
    tracemalloc.start()
    before, _ = tracemalloc.get_traced_memory()
    try:
        yield lambda: (tracemalloc.get_traced_memory()[1] - before) / MEGABYTE
    finally:
        tracemalloc.stop()


def says_everywhere(text: str, **fields: object) -> Starlette:
    """Return an API whose every name, ID and word is this text, to be served by `serve`.

    Tests and reruns are as the fields say: `test_id`, and `status` of a rerun.
    """
    test = {"testId": fields.get("test_id", text), "testName": text, "type": text, "aid": text[:90]}
    agent = {"id": text[:90], "name": text, "lastSeen": datetime.now(UTC).isoformat()}
    group = {"aid": text[:90], "accountGroupName": text, "isCurrentAccountGroup": True}
    words = dict.fromkeys(("title", "detail", "message", "error"), text)
    body = {"tests": [test], "agents": [agent], "accountGroups": [group], **words}

    async def answer(request: Request) -> JSONResponse:
        status = fields.get("status", 400) if request.method == "POST" else 200
        return JSONResponse(body, int(str(status)))

    return Starlette(routes=[Route("/{path:path}", answer, methods=["GET", "POST"])])
