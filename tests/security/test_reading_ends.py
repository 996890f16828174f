"""Whatever the API says comes next, reading ends."""

import asyncio
import itertools
from collections.abc import AsyncIterator, Callable
from typing import Any

import httpx
import pytest

from tests.security.hostile_api import TOKEN, client_of, pages
from tests.thousandeyes.virtual_time import run
from tests.thousandeyes.wire import wire
from thousandeyes.client import LARGEST_LISTING, ThousandEyesClient
from thousandeyes.errors import ReplyLost
from thousandeyes.gate import QuotaGate
from thousandeyes.quota import DOCUMENTED
from thousandeyes.results import MOST_PAGES, Page, http_rounds, network_rounds, path_summaries_of
from thousandeyes.settings import ThousandEyesSettings


async def every(pages_read: AsyncIterator[Page[Any]]) -> list[Page[Any]]:
    return [page async for page in pages_read]


@pytest.mark.parametrize(
    "pages_of",
    [
        lambda client: network_rounds(client.read, ["1"], since=0),
        lambda client: http_rounds(client.read, ["1"], since=0),
        lambda client: path_summaries_of(client.read, "1", since=0),
    ],
)
async def test_results_with_ever_new_cursors_are_read_no_further_than_the_bound(
    pages_of: Callable[[ThousandEyesClient], AsyncIterator[Page[Any]]],
) -> None:
    async with wire(pages(lambda _: [])) as server, client_of(server) as client:
        with pytest.raises(ReplyLost, match="more than 240 pages"):
            await every(pages_of(client))
    assert len(server.requests) == MOST_PAGES


async def test_so_are_agents() -> None:
    listed = pages(lambda number: [{"id": f"{number}"}], "agents")
    async with wire(listed) as server, client_of(server) as client:
        assert len(await client.agents()) == LARGEST_LISTING
    assert len(server.requests) == LARGEST_LISTING


def test_reads_keep_to_the_quota_that_the_documents_name_where_the_api_tells_none() -> None:
    times: list[float] = []
    cursors = itertools.count()

    async def answer(_: httpx.Request) -> httpx.Response:
        times.append(asyncio.get_running_loop().time())
        link = {"next": {"href": f"/?cursor={next(cursors)}"}}
        return httpx.Response(200, json={"results": [], "_links": link})

    async def main() -> None:
        clock = asyncio.get_running_loop().time
        chosen = ThousandEyesSettings.model_validate({"token": TOKEN})
        gate, transport = QuotaGate(clock=clock), httpx.MockTransport(answer)
        async with ThousandEyesClient(chosen, gate=gate, transport=transport) as client:
            for _ in range(4):
                with pytest.raises(ReplyLost):
                    await every(network_rounds(client.read, ["1"], since=0))

    run(main())
    assert len(times) == 4 * MOST_PAGES
    for start in times:
        assert sum(start <= time < start + 59 for time in times) <= DOCUMENTED
