"""Reads and decompresses a reply's body in pieces, up to a limit: any server may send anything."""

import asyncio
import zlib
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Final

import httpx

from thousandeyes.errors import ReplyLost

PACKING: Final = "gzip"
"""The only compression that is asked for, and understood."""
LARGEST_ANSWER: Final = 1_000_000
"""Largest answer to a rerun or a creation, in bytes. A rerun's is a sentence. A creation's is a
definition: 1 kB, or 200 kB if it names 5,000 agents one by one."""
LARGEST_PAGE: Final = 12_000_000
"""Largest reply to a call that reads, in bytes. The largest is the list of tests, the only list
without pages: 10,000 tests are some 9 MB. A page of 1,000 results with all their HTTP headers is
5 MB. A single wide character makes Python keep the whole text at four bytes a character: up to
130 MB while it is read."""

_PIECE: Final = 250_000
"""Bytes that are decompressed at a time: one compressed kilobyte may hold a million zeros."""


async def body_of(response: httpx.Response, largest: int) -> bytearray:
    """Return the decompressed body of a reply.

    Args:
        response: The reply, of which only the headers have been read.
        largest: The most bytes that the decompressed body may have.

    Raises:
        ReplyLost: The body is larger, or can't be decompressed.
        httpx.RequestError: The connection was lost on the way.
    """
    body = bytearray()
    async with aclosing(_pieces(response)) as pieces:
        async for piece in pieces:
            body += piece
            if len(body) > largest:
                raise ReplyLost(f"the answer is larger than {largest // 1_000_000} MB")
    return body


async def _pieces(response: httpx.Response) -> AsyncGenerator[bytes, None]:
    stream = response.stream
    assert isinstance(stream, httpx.AsyncByteStream)  # noqa: S101 - an async client's is one
    packing = response.headers.get("content-encoding", "identity").strip().lower()
    if packing == "identity":
        async for piece in stream:
            yield piece
        return
    if packing != PACKING:
        raise ReplyLost("the answer is compressed in a way that was not asked for")
    unpacker = zlib.decompressobj(zlib.MAX_WBITS | 16)  # 16: gzip
    is_empty = True  # as after status 204
    async for packed in stream:
        while packed and not unpacker.eof:
            is_empty = False
            try:
                yield unpacker.decompress(packed, _PIECE)
            except zlib.error:
                raise ReplyLost("the answer can't be decompressed") from None
            packed = unpacker.unconsumed_tail  # noqa: PLW2901 - the rest of it
            await asyncio.sleep(0)  # lets other tasks run
        if unpacker.eof:
            return
    if not is_empty:
        raise ReplyLost("the answer ends in the middle of the compressed data")
