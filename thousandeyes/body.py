"""A reply's body, read in pieces and unpacked, up to a bound: whoever answers may send anything."""

import asyncio
import zlib
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Final

import httpx

from thousandeyes.errors import ReplyLost

PACKING: Final = "gzip"
"""The one way of packing that is asked for, and understood."""
LARGEST_ANSWER: Final = 1_000_000
"""Bytes of an answer to a rerun or a creation. A rerun's is a sentence; a creation's is one
definition, of 1 kB, or of 200 kB where it names 5,000 agents one by one."""
LARGEST_PAGE: Final = 12_000_000
"""Bytes of a reply that is read. The largest is the list of tests, the only one without pages:
10,000 tests are some 9 MB. A page of 1,000 results with all their HTTP headers is 5 MB. One wide
letter makes Python keep the whole text at four bytes a letter: up to 130 MB while it is read."""

_PIECE: Final = 250_000
"""Bytes that are unpacked at a time: one packed kilobyte may hold a million zeros."""


async def body_of(response: httpx.Response, largest: int) -> bytearray:
    """Return the unpacked body of a reply, of which nothing but the headers was read.

    Args:
        response: The reply.
        largest: How many bytes it may be, unpacked.

    Raises:
        ReplyLost: It is larger, or it can't be unpacked.
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
        raise ReplyLost("the answer is packed in a way that was not asked for")
    unpacker = zlib.decompressobj(zlib.MAX_WBITS | 16)  # 16: gzip
    is_empty = True  # as with a status of 204
    async for packed in stream:
        while packed and not unpacker.eof:
            is_empty = False
            try:
                yield unpacker.decompress(packed, _PIECE)
            except zlib.error:
                raise ReplyLost("the answer can't be unpacked") from None
            packed = unpacker.unconsumed_tail  # noqa: PLW2901 - what is left of it
            await asyncio.sleep(0)  # others have their turn
        if unpacker.eof:
            return
    if not is_empty:
        raise ReplyLost("the answer ends in the middle of what was packed")
