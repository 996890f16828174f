"""Reading what the laptops measured, page by page.

Every reader is an asynchronous iterator over pages, so that a caller may stop early, and reads
nothing before it is iterated. A row may come twice when rows appear while pages are read. All of
them raise `CallFailed`, one of its subclasses.

`since` is in epoch seconds by the server's clock, which may differ from ours (`Reply.date` tells).
A round's ID is its start floored to the minute, so `since` is floored too, both for the API and
for the rows that are let through: an API that answers with its latest rounds must not pass for
one with new ones.

Paths are built from the ID: the links of a definition name some that don't exist.
Source: the vendor's OpenAPI description 7.0.85.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, Final, Generic
from urllib.parse import parse_qs, urlsplit

from thousandeyes.errors import ReplyLost
from thousandeyes.lists import clean_test_id
from thousandeyes.rounds import AnyRow, HttpRound, NetworkRound, PathSummary, rows_of

RESULTS: Final = "/endpoint/test-results/scheduled-tests"
ROUND_SECONDS: Final = 60
"""What a round's ID is a multiple of: the interval of an instant test."""


Read = Callable[..., Awaitable[Any]]
"""Makes a call that only reads and returns its JSON: `Caller.read` is one."""


class Kind(StrEnum):
    """The kinds of results, under the names that their paths have."""

    NETWORK = "network"
    HTTP_SERVER = "http-server"
    PATH = "path-vis"


@dataclass(frozen=True)
class Page(Generic[AnyRow]):
    """One page: the rows that were asked for, and how many rows all pages together have.

    `total` is the API's own count, None where it tells none (`totalHits`, which filters have).
    """

    rows: list[AnyRow]
    total: int | None


def network_rounds(
    read: Read,
    test_ids: Iterable[str],
    *,
    since: float,
    aid: str | None = None,
    rows_per_page: int | None = None,
) -> AsyncIterator[Page[NetworkRound]]:
    """Read the network results of many tests, newest rounds first; of HTTP tests too.

    Args:
        read: Makes the calls, as `Caller.read` does.
        test_ids: The tests; with none, nothing is read.
        since: Epoch seconds by the server's clock.
        aid: Account group; the client's own when left out. The API wants access to the account
            groups of all these tests.
        rows_per_page: The API's `max`, whose bounds are not documented; its default when left out.
    """
    query = _of_many(Kind.NETWORK, NetworkRound, test_ids, since)
    if rows_per_page is not None:
        query.params["max"] = str(rows_per_page)
    return _pages(read, query, aid)


def http_rounds(
    read: Read, test_ids: Iterable[str], *, since: float, aid: str | None = None
) -> AsyncIterator[Page[HttpRound]]:
    """Read the HTTP results of many tests, newest rounds first; network tests have none.

    Arguments are those of `network_rounds`. The API has no `max` here.
    """
    return _pages(read, _of_many(Kind.HTTP_SERVER, HttpRound, test_ids, since), aid)


def path_summaries_of(
    read: Read, test_id: str, *, since: float, aid: str | None = None
) -> AsyncIterator[Page[PathSummary]]:
    """Read the path visualization of one test without its hops, in no promised order.

    Raises:
        InvalidTestIds: This can't be an ID; nothing was sent.
    """
    # It becomes part of the path.
    test_id = clean_test_id(test_id)
    path, wanted = f"{RESULTS}/{test_id}/{Kind.PATH}", frozenset({test_id})
    return _pages(read, _Query("GET", path, PathSummary, wanted, first_round(since), None), aid)


def first_round(since: float) -> int:
    """Return the ID of the round that a run at this moment belongs to, both in epoch seconds."""
    return int(since // ROUND_SECONDS) * ROUND_SECONDS


def next_cursor(body: object) -> str | None:
    """Return the cursor of the next page, if a reply has one.

    Nothing else of the link is used: it could lead the token to another host.
    """
    links = body.get("_links") if isinstance(body, dict) else None
    link = links.get("next") if isinstance(links, dict) else None
    href = link.get("href") if isinstance(link, dict) else None
    try:
        [cursor, *_] = parse_qs(urlsplit(href).query)["cursor"] if isinstance(href, str) else [""]
    except (KeyError, ValueError):
        return None
    return cursor or None


@dataclass(frozen=True)
class _Query(Generic[AnyRow]):
    """One query for results; the same params and body go with every page."""

    method: str
    path: str
    model: type[AnyRow]
    test_ids: frozenset[str]
    first_round: int
    body: Mapping[str, Any] | None
    params: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        # No endDate: its default is the server's own now, and ours may lie before `startDate`.
        start = datetime.fromtimestamp(self.first_round, UTC)
        self.params["startDate"] = start.strftime("%Y-%m-%dT%H:%M:%SZ")

    def rows(self, body: object) -> list[AnyRow]:
        """Return the rows of a reply that were asked for, also where the API told more."""
        items = body.get("results") or [] if isinstance(body, dict) else None
        if not isinstance(items, list):
            raise ReplyLost(f"{self.method} {self.path} answered without readable results")
        return [
            row
            for row in rows_of(items, self.model)
            if row.round_id >= self.first_round and row.test_id in self.test_ids
        ]


def _total(body: object) -> int | None:
    total = body.get("totalHits") if isinstance(body, dict) else None
    return total if isinstance(total, int) else None


def _of_many(
    kind: Kind, model: type[AnyRow], test_ids: Iterable[str], since: float
) -> _Query[AnyRow]:
    wanted = list(dict.fromkeys(test_ids))
    body = {
        "searchFilters": {"testId": wanted},
        "searchSort": [{"sort": "round-id", "order": "desc"}],
    }
    path = f"{RESULTS}/{kind}/filter"
    return _Query("POST", path, model, frozenset(wanted), first_round(since), body)


async def _pages(read: Read, query: _Query[AnyRow], aid: str | None) -> AsyncIterator[Page[AnyRow]]:
    if not query.test_ids:
        return  # the API takes an empty filter for all tests
    seen: set[str] = set()
    params = query.params
    while True:
        body = await read(query.method, query.path, params=params, body=query.body, aid=aid)
        yield Page(query.rows(body), _total(body))
        cursor = next_cursor(body)
        if cursor is None or cursor in seen:
            return
        seen.add(cursor)
        params = {**query.params, "cursor": cursor}
