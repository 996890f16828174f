"""Reads what the laptops measured, page by page.

`rounds` is an asynchronous iterator over pages. It reads nothing before it is iterated, and a
caller may stop early. A row may come twice if rows appear while pages are read. `rounds` raises
subclasses of `CallFailed`.

`since` is in epoch seconds by the server's clock, which may differ from ours (see `Reply.date`). A
round's ID is its start floored to the test's interval, which is at least a minute. So `since` is
floored to the minute, both in the call and for the rows that are let through: old rounds must not
pass for new ones if the API just answers with its latest. For longer intervals the caller floors.

URLs are not taken from the links of a definition: some of these don't exist.
Source: the vendor's OpenAPI description 7.0.85.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, Final, NamedTuple

from thousandeyes.errors import ReplyLost
from thousandeyes.paging import pages, total_of
from thousandeyes.rounds import HttpRound, Measured, NetworkRound, rows_of

RESULTS: Final = "/endpoint/test-results/scheduled-tests"
ROUND_SECONDS: Final = 60
"""The interval of an instant test; round IDs are multiples of it if no other interval is given."""

MOST_PAGES: Final = 240
"""The most pages of one read, equal to the organization's calls in a minute. If the API's pages
never end, the read must not take more than that from everybody else."""
MOST_ROWS: Final = 100_000
"""The most rows of one read: 100 MB. A read is for at most 200 tests; with 25 agents each, in 5
rounds, these have 25,000 rows."""
ROWS_PER_PAGE: Final = 500
"""What a page is asked for: the most rows of one read then fit in the most pages."""

Read = Callable[..., Awaitable[Any]]
"""Makes a call that only reads and returns its JSON: `Caller.read` is one."""


class Kind(StrEnum):
    """The kinds of results that verdicts are based on, named as in the API's paths."""

    NETWORK = "network"  # of all tests
    HTTP_SERVER = "http-server"  # of HTTP tests


_ROWS: Final[Mapping[Kind, type[NetworkRound] | type[HttpRound]]] = {
    Kind.NETWORK: NetworkRound,
    Kind.HTTP_SERVER: HttpRound,
}


class Page(NamedTuple):
    """One page: the rows that were asked for, and how many rows all pages have together.

    `total` is the API's own count (`totalHits`, in replies to filters), None if it gives none, or
    one that doesn't cover all pages.
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
        until: The same for the last round to read, which must have begun; None for the newest.
        aid: Account group; by default the client's own. The API requires access to the account
            groups of all these tests.
    """
    tests, first, path = frozenset(test_ids), first_round(since), f"{RESULTS}/{kind}/filter"
    if not tests:
        return  # to the API, an empty filter means all tests
    # `endDate` defaults to the server's own now; by our clock, now might be before `startDate`.
    dates = {"startDate": first} | ({} if until is None else {"endDate": int(until)})
    body = {
        "searchFilters": {"testId": sorted(tests)},
        "searchSort": [{"sort": "round-id", "order": "desc"}],
    }
    only_test = next(iter(tests)) if len(tests) == 1 else None
    rows_read = 0

    async def ask(params: Mapping[str, str]) -> Any:  # noqa: ANN401 - JSON
        return await read("POST", path, params=params, body=body, aid=aid)

    asked = {name: _date(moment) for name, moment in dates.items()}
    async for reply, goes_on in pages(ask, asked, ROWS_PER_PAGE, range(MOST_PAGES)):
        items = reply.get("results") or [] if isinstance(reply, dict) else None
        if not isinstance(items, list):
            raise ReplyLost(f"POST {path} answered without readable results")
        told = rows_of(items, _ROWS[kind], only_test)
        if items and not told:
            raise ReplyLost(f"POST {path} answered with {len(items)} rows, none of them readable")
        rows_read += len(items)
        if rows_read > MOST_ROWS:
            raise ReplyLost(f"POST {path} has more than {MOST_ROWS} rows")
        # An API may return more than it was asked for.
        rows = [row for row in told if row.round_id >= first and row.test_id in tests]
        total = total_of(reply, "totalHits")
        # A count that is reached before the last page may be capped, or be of one page.
        covers_all = total is not None and rows_read + goes_on <= total
        yield Page(rows, total if covers_all else None)
        if not goes_on:
            return
    raise ReplyLost(f"POST {path} has more than {MOST_PAGES} pages")


def _date(moment: int) -> str:
    return datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def first_round(since: float, interval: int = ROUND_SECONDS) -> int:
    """Return the ID of the round that a run at this moment belongs to, both in epoch seconds.

    Args:
        since: The moment.
        interval: The test's interval in seconds. Round IDs are multiples of it: "always exactly
            divisible by the test frequency", say the documents of the API's earlier version.
    """
    return int(since // interval) * interval
