"""Follows the links from page to page of what the API lists."""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

from thousandeyes.errors import InvalidCall, ReplyLost

_LONGEST_LINK: Final = 5_000


async def pages(
    ask: Callable[[Mapping[str, str]], Awaitable[Any]],
    params: Mapping[str, str],
    size: int,
    calls: Iterable[object],
) -> AsyncIterator[tuple[Any, bool]]:
    """Yield each page as JSON, and whether it leads to another that has not been read.

    Args:
        ask: Makes the call with these query parameters.
        params: The query parameters of all pages.
        size: How many items a page is asked for. The API's description names no limit; if the API
            has one, and refuses more, it picks the size.
        calls: An item for each call that may be made. If they don't suffice, the last page that is
            read leads to another.

    Raises:
        CallFailed: One of its subclasses.
    """
    first = told = {**params, "max": str(size)}
    seen: set[str] = set()
    for _ in calls:
        try:
            page = await ask(told)
        except InvalidCall:
            if told is not first:
                raise
            told = dict(params)
            continue
        cursor = next_cursor(page)
        if cursor is None or cursor in seen:
            yield page, False
            return
        yield page, True
        seen.add(cursor)
        told = {**told, "cursor": cursor}


def next_cursor(body: object) -> str | None:
    """Return the cursor of the next page, if a reply has one.

    Nothing else of the link is used, because it could send the token to another host.

    Raises:
        ReplyLost: The link is longer than any URL.
    """
    links = body.get("_links") if isinstance(body, dict) else None
    link = links.get("next") if isinstance(links, dict) else None
    href = link.get("href") if isinstance(link, dict) else None
    if not isinstance(href, str):
        return None
    if len(href) > _LONGEST_LINK:  # it would not fit in a URL, and Python caches what it splits
        raise ReplyLost(f"the link to the next page has {len(href)} characters")
    try:
        [cursor, *_] = parse_qs(urlsplit(href).query)["cursor"]
    except (KeyError, ValueError):
        return None
    return cursor or None


def total_of(body: Mapping[str, object], name: str) -> int | None:
    """Return how many items the API counts over all pages; None if the field holds no number."""
    total = body.get(name)
    if isinstance(total, bool) or not isinstance(total, int) or total < 0:
        return None
    return total
