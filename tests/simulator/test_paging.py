from collections.abc import Callable
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette

Make = Callable[..., Starlette]
Connect = Callable[[Starlette], httpx.AsyncClient]
URL = "/endpoint/test-results/scheduled-tests/1/network/filter"
RUN = "/endpoint/tests/scheduled-tests/1/run"
BODY = {"searchSort": [{"sort": "round-id", "order": "desc"}]}


@pytest.fixture
def app(make: Make) -> Starlette:
    return make(tests=["1", "2"], page_size=10, results_after_seconds=0)


async def first_page(api: httpx.AsyncClient) -> dict[str, Any]:
    await api.post(RUN)
    await api.post(RUN)
    page: dict[str, Any] = (await api.post(URL, params={"window": "1h"}, json=BODY)).json()
    return page


async def test_pages_hold_every_row_once(app: Starlette, connect: Connect) -> None:
    api = connect(app)
    page = await first_page(api)
    rows = page["results"]
    while "next" in page["_links"]:
        page = (await api.post(page["_links"]["next"]["href"], json=BODY)).json()
        rows += page["results"]
    assert len(rows) == page["totalHits"] > 20
    assert len({str(row) for row in rows}) == len(rows)


async def test_the_next_page_has_an_absolute_address(app: Starlette, connect: Connect) -> None:
    page = await first_page(connect(app))
    assert page["_links"]["next"]["href"].startswith(f"http://simulator/v7{URL}?window=1h&cursor=")


async def test_rows_that_appear_between_two_pages_are_not_on_the_second(
    app: Starlette, connect: Connect, now: list[float]
) -> None:
    api = connect(app)
    page = await first_page(api)
    now[0] += 60
    await api.post(RUN)
    second = (await api.post(page["_links"]["next"]["href"], json=BODY)).json()
    assert second["totalHits"] == page["totalHits"]
    assert second["endDate"] == page["endDate"]


async def test_the_same_body_may_be_written_in_another_way(
    app: Starlette, connect: Connect
) -> None:
    api = connect(app)
    page = await first_page(api)
    body = b'{"searchSort":[{"order":"desc",  "sort":"round-id"}]}'
    reply = await api.post(page["_links"]["next"]["href"], content=body)
    assert reply.status_code == 200


async def test_a_cursor_is_refused_with_another_body_query_or_test(
    app: Starlette, connect: Connect
) -> None:
    api = connect(app)
    href = (await first_page(api))["_links"]["next"]["href"]
    other = {"searchSort": [{"sort": "loss", "order": "desc"}]}
    for url, body in (
        (href, other),
        (href, None),
        (href.replace("window=1h", "window=2h"), BODY),
        (href.replace("tests/1/", "tests/2/"), BODY),
    ):
        reply = await api.post(url, json=body)
        assert reply.status_code == 400
        assert reply.json()["errors"][0]["field"] == "cursor"


@pytest.mark.parametrize("cursor", ["", "abc", "WzEsMiwzXQ==", "W10=", "é"])
async def test_an_invented_cursor_is_refused(app: Starlette, connect: Connect, cursor: str) -> None:
    reply = await connect(app).post(URL, params={"cursor": cursor})
    assert reply.status_code == 400


async def test_only_results_of_many_network_tests_take_a_maximum(
    app: Starlette, connect: Connect
) -> None:
    api = connect(app)
    await first_page(api)
    many = URL.replace("1/", "")
    assert len((await api.post(many, params={"max": 3})).json()["results"]) == 3
    assert len((await api.post(URL, params={"max": 3})).json()["results"]) == 10
