"""Reading what the laptops measured, page by page.

`rounds` is an asynchronous iterator over pages, so that a caller may stop early, and reads nothing
before it is iterated. A row may come twice when rows appear while pages are read. It raises
`CallFailed`, one of its subclasses.

`since` is in epoch seconds by the server's clock, which may differ from ours (`Reply.date` tells).
A round's ID is its start floored to the test's interval, at the least a minute, so `since` is
floored to the minute, both for the API and for the rows that are let through: an API that answers
with its latest rounds must not pass for one with new ones. For longer intervals the caller floors.

Paths are not taken from the links of a definition: these name some that don't exist.
Source: the vendor's OpenAPI description 7.0.85.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, Final, NamedTuple
from urllib.parse import parse_qs, urlsplit

from thousandeyes.errors import ReplyLost
from thousandeyes.rounds import HttpRound, Measured, NetworkRound, rows_of

RESULTS: Final = "/endpoint/test-results/scheduled-tests"
ROUND_SECONDS: Final = 60
"""What a round's ID is a multiple of where no interval is told: that of an instant test."""

MOST_PAGES: Final = 240
"""Pages of one read. As many calls as the organization has in a minute: an API whose pages never
end must not take more than that from everybody."""
MOST_ROWS: Final = 100_000
"""Rows of one read, which is at most 200 tests: 100 MB. 25 agents in 5 rounds are 25,000."""
_LONGEST_LINK: Final = 5_000

Read = Callable[..., Awaitable[Any]]
"""Makes a call that only reads and returns its JSON: `Caller.read` is one."""


class Kind(StrEnum):
    """The kinds of results that a verdict is made of, under the names that their paths have."""

    NETWORK = "network"  # of all tests
    HTTP_SERVER = "http-server"  # of HTTP tests


_ROWS: Final[Mapping[Kind, type[NetworkRound] | type[HttpRound]]] = {
    Kind.NETWORK: NetworkRound,
    Kind.HTTP_SERVER: HttpRound,
}


class Page(NamedTuple):
    """One page: the rows that were asked for, and how many rows all pages together have.

    `total` is the API's own count, None where it tells none (`totalHits`, which filters have).
    """

    rows: list[Measured]
    total: int | None


async def rounds(
    read: Read,
    kind: Kind,
    test_ids: Iterable[str],
    *,
    since: float,
    until: float | None = None,
    aid: str | None = None,
) -> AsyncIterator[Page]:
    """Read one kind of results of many tests, newest rounds first.

    Args:
        read: Makes the calls, as `Caller.read` does.
        kind: The kind of results.
        test_ids: The tests; with none, nothing is read.
        since: Epoch seconds by the server's clock.
        until: The same for the last round to read, which has begun; None: the newest.
        aid: Account group; the client's own when left out. The API wants access to the account
            groups of all these tests.
    """
    tests, first, path = frozenset(test_ids), first_round(since), f"{RESULTS}/{kind}/filter"
    if not tests:
        return  # the API takes an empty filter for all tests
    # The default of endDate is the server's own now; by our clock, now may lie before `startDate`.
    dates = {"startDate": first} | ({} if until is None else {"endDate": int(until)})
    params = {name: _date(moment) for name, moment in dates.items()}
    body = {
        "searchFilters": {"testId": sorted(tests)},
        "searchSort": [{"sort": "round-id", "order": "desc"}],
    }
    only_test = next(iter(tests)) if len(tests) == 1 else None
    seen: set[str] = set()
    rows_read = 0
    for _ in range(MOST_PAGES):
        reply = await read("POST", path, params=params, body=body, aid=aid)
        items = reply.get("results") or [] if isinstance(reply, dict) else None
        if not isinstance(items, list):
            raise ReplyLost(f"POST {path} answered without readable results")
        # An API may tell more than it was asked for.
        rows: list[Measured] = [
            row
            for row in rows_of(items, _ROWS[kind], only_test)
            if row.round_id >= first and row.test_id in tests
        ]
        rows_read += len(rows)
        if rows_read > MOST_ROWS:
            raise ReplyLost(f"POST {path} has more than {MOST_ROWS} rows")
        yield Page(rows, _total(reply))
        cursor = next_cursor(reply)
        if cursor is None or cursor in seen:
            return
        seen.add(cursor)
        params = {**params, "cursor": cursor}
    raise ReplyLost(f"POST {path} has more than {MOST_PAGES} pages")


def _date(moment: int) -> str:
    return datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def first_round(since: float, interval: int = ROUND_SECONDS) -> int:
    """Return the ID of the round that a run at this moment belongs to, both in epoch seconds.

    Args:
        since: The moment.
        interval: The test's, in seconds: round IDs are multiples of it, by the earlier version's
            documents "always exactly divisible by the test frequency".
    """
    return int(since // interval) * interval


def next_cursor(body: object) -> str | None:
    """Return the cursor of the next page, if a reply has one.

    Nothing else of the link is used: it could lead the token to another host.

    Raises:
        ReplyLost: The link is longer than any address.
    """
    links = body.get("_links") if isinstance(body, dict) else None
    link = links.get("next") if isinstance(links, dict) else None
    href = link.get("href") if isinstance(link, dict) else None
    if not isinstance(href, str):
        return None
    if len(href) > _LONGEST_LINK:  # it would not fit in an address, and Python keeps what it split
        raise ReplyLost(f"the next page has an address of {len(href)} characters")
    try:
        [cursor, *_] = parse_qs(urlsplit(href).query)["cursor"]
    except (KeyError, ValueError):
        return None
    return cursor or None


def _total(body: Mapping[str, object]) -> int | None:
    total = body.get("totalHits")
    return total if isinstance(total, int) else None
