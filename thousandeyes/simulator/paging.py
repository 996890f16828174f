"""Cursors: where the next page begins, valid only for the very same query and body."""

import base64
import contextlib
import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from starlette.requests import Request

from .replies import InvalidFieldsError

T = TypeVar("T")


@dataclass(frozen=True)
class Cursor:
    """A position in what a query found at a certain time.

    Rows that appear later are left out of the following pages, so that no row comes twice.
    """

    offset: int
    as_of: float
    """Epoch seconds of the server's clock."""


async def read_cursor(request: Request, now: float) -> Cursor:
    """Return the query's cursor, or the first page's; raise `InvalidFieldsError`.

    The vendor requires filters to stay the same from page to page. A cursor is refused with any
    query or body but the one that it was issued for.
    """
    told = request.query_params.get("cursor")
    if told is None:
        return Cursor(0, now)
    try:
        offset, as_of, seal = json.loads(base64.urlsafe_b64decode(told.encode()))
        cursor = Cursor(offset, as_of)
        if seal == await _seal(request, cursor):
            return cursor
    except (ValueError, TypeError):
        pass
    raise InvalidFieldsError.of("cursor", "is not the cursor of this query and body")


def page_size(request: Request, largest: int) -> int:
    """Return how many objects a page holds: the query's `max`, capped at `largest`."""
    told = request.query_params.get("max")
    if told is None:
        return largest
    if not (told.isascii() and told.isdigit()) or not told.strip("0"):
        raise InvalidFieldsError.of("max", "is not a number above 0")
    return min(largest, int(told[:9]))


async def links(
    request: Request, cursor: Cursor, size: int, total: int, *, with_self: bool = False
) -> dict[str, Any]:
    """Return `_links`: the next page's absolute URL, if any, and this page's on request."""
    found: dict[str, Any] = {}
    if with_self:
        found["self"] = {"href": str(request.url)}
    if cursor.offset + size < total:
        after = Cursor(cursor.offset + size, cursor.as_of)
        content = json.dumps([after.offset, after.as_of, await _seal(request, after)])
        token = base64.urlsafe_b64encode(content.encode()).decode()
        found["next"] = {"href": str(request.url.include_query_params(cursor=token))}
    return found


def cut(found: Sequence[T], cursor: Cursor, size: int) -> Sequence[T]:
    """Return the objects of one page."""
    return found[cursor.offset : cursor.offset + size]


async def _seal(request: Request, cursor: Cursor) -> str:
    query = sorted(item for item in request.query_params.multi_items() if item[0] != "cursor")
    body = await request.body()
    with contextlib.suppress(ValueError):  # no body, or one that is refused elsewhere
        body = json.dumps(json.loads(body), sort_keys=True).encode()
    content = repr((request.url.path, query, body, cursor.offset, cursor.as_of))
    return hashlib.sha256(content.encode()).hexdigest()[:16]
