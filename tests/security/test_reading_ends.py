"""Whatever the API says comes next, reading ends."""

import asyncio
import itertools
from typing import Any

import httpx
import pytest

from tests.security.hostile_api import TOKEN, client_of, pages
from tests.thousandeyes.virtual_time import run
from tests.thousandeyes.wire import wire
from thousandeyes import results
from thousandeyes.client import ThousandEyesClient
from thousandeyes.errors import ReplyLost
from thousandeyes.fleet import MOST_PAGES as MOST_AGENT_PAGES
from thousandeyes.gate import QuotaGate
from thousandeyes.quota import DOCUMENTED
from thousandeyes.results import MOST_PAGES, Kind, Page, rounds
from thousandeyes.settings import ThousandEyesSettings


async def read_all(client: ThousandEyesClient, kind: Kind) -> list[Page]:
    return [page async for page in rounds(client.read, kind, ["1"], since=0)]


@pytest.mark.parametrize("kind", Kind)
async def test_results_with_ever_new_cursors_are_read_no_further_than_the_bound(kind: Kind) -> None:
    async with wire(pages(lambda _: [])) as server, client_of(server) as client:
        with pytest.raises(ReplyLost, match="more than 240 pages"):
            await read_all(client, kind)
    assert len(server.requests) == MOST_PAGES


async def test_results_with_ever_more_rows_are_read_no_further_than_the_bound(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(results, "MOST_ROWS", 1_000)

    def rows(number: int) -> list[dict[str, Any]]:
        who = {"testId": "1", "roundId": 60}
        return [who | {"agentId": f"{number}-{place}"} for place in range(200)]

    async with wire(pages(rows)) as server, client_of(server) as client:
        with pytest.raises(ReplyLost, match="more than 1000 rows"):
            await read_all(client, Kind.NETWORK)
    assert len(server.requests) == 1_000 / 200 + 1


async def test_so_are_agents() -> None:
    listed = pages(lambda number: [{"id": f"{number}"}], "agents")
    async with wire(listed) as server, client_of(server) as client:
        read = [page async for page in client.agents()]
    assert len(read) == len(server.requests) == MOST_AGENT_PAGES
    assert not any(page.is_last for page in read)


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
                    await read_all(client, Kind.NETWORK)

    run(main())
    assert len(times) == 4 * MOST_PAGES
    for start in times:
        assert sum(start <= time < start + 59 for time in times) <= DOCUMENTED
