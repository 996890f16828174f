"""Each dialect as it is on the wire; how the client reads it is told by its own tests."""

from collections.abc import Callable
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette

Make = Callable[..., Starlette]
Connect = Callable[[Starlette], httpx.AsyncClient]
AGENTS = "/endpoint/agents"
TESTS = "/endpoint/tests/scheduled-tests"
RESULTS = "/endpoint/test-results/scheduled-tests"
CREATE = f"{TESTS}/agent-to-server/instant"
NEW = {"testName": "Voice", "server": "voice.example.com"}


def speaking(make: Make, connect: Connect, *dialects: str, **options: Any) -> httpx.AsyncClient:
    return connect(make(tests=["1"], dialects=list(dialects), results_after_seconds=0, **options))


@pytest.mark.parametrize(
    ("dialect", "fields", "kind"),
    [
        ("errors_without_fields", {"title", "status", "detail"}, "application/problem+json"),
        ("message_in_title", {"title", "status", "instance"}, "application/problem+json"),
        (
            "timestamped_errors",
            {"timestamp", "status", "error", "title", "detail", "path"},
            "application/json",
        ),
    ],
)
@pytest.mark.parametrize(("query", "status"), [("max=many", 400), ("aid=9", 403)])
async def test_an_error_has_the_fields_of_its_dialect(
    make: Make, connect: Connect, dialect: str, fields: set[str], kind: str, query: str, status: int
) -> None:
    reply = await speaking(make, connect, dialect).get(f"{AGENTS}?{query}")
    assert reply.status_code == reply.json()["status"] == status
    assert set(reply.json()) == fields
    assert reply.headers["Content-Type"] == kind
    assert "Date" in reply.headers


async def test_a_message_in_the_title_has_two_lines_and_the_path(
    make: Make, connect: Connect
) -> None:
    reply = await speaking(make, connect, "message_in_title").get(f"{AGENTS}?max=many")
    assert reply.json()["title"] == "Bad Request:\nmax is not a number above 0"
    assert reply.json()["instance"] == f"/v7{AGENTS}"


async def test_a_404_without_a_body_keeps_its_headers(make: Make, connect: Connect) -> None:
    api = speaking(make, connect, "empty_not_found")
    reply = await api.get("/nowhere")
    assert (reply.status_code, reply.content) == (404, b"")
    refused = await api.get(f"{TESTS}/1/run")
    assert refused.status_code == 405
    assert refused.headers["Allow"] == "POST"


async def test_a_filter_that_finds_nothing_is_plain_json_without_links(
    make: Make, connect: Connect
) -> None:
    api = speaking(make, connect, "empty_as_json")
    empty = await api.post(f"{RESULTS}/network/filter")
    assert empty.headers["Content-Type"] == "application/json"
    assert empty.json()["_links"] == {}
    await api.post(f"{TESTS}/1/run")
    found = await api.post(f"{RESULTS}/network/filter")
    assert found.headers["Content-Type"] == "application/hal+json"


async def test_account_groups_are_numbers_everywhere(make: Make, connect: Connect) -> None:
    api = speaking(make, connect, "numeric_aid")
    await api.post(f"{TESTS}/1/run")
    agents = (await api.get(AGENTS)).json()["agents"]
    tests = (await api.get(TESTS)).json()["tests"]
    rows = (await api.post(f"{RESULTS}/1/network/filter")).json()["results"]
    assert {item["aid"] for item in [*agents, *tests, *rows]} == {1234}


async def test_one_agent_tells_no_zone_and_every_fifth_is_deleted(
    make: Make, connect: Connect
) -> None:
    api = speaking(make, connect, "date_without_zone", "deleted_agents", agents=10)
    first, *others = (await api.get(AGENTS)).json()["agents"]
    assert not first["lastSeen"].endswith("Z")
    assert all(agent["lastSeen"].endswith("Z") for agent in others)
    assert [agent["deleted"] for agent in others] == [place in (4, 9) for place in range(1, 10)]


async def test_a_row_of_one_test_tells_none_and_one_of_several_does(
    make: Make, connect: Connect
) -> None:
    app = make(tests=["1", "2"], dialects=["rows_without_test_id"], results_after_seconds=0)
    api = connect(app)
    await api.post(f"{TESTS}/1/run")
    for path, body in (
        ("1/network/filter", {}),
        ("network/filter", {"searchFilters": {"testId": ["1"]}}),
    ):
        rows = (await api.post(f"{RESULTS}/{path}", json=body)).json()["results"]
        assert rows
        assert not any("testId" in row for row in rows)
    rows = (await api.post(f"{RESULTS}/network/filter")).json()["results"]
    assert {row["testId"] for row in rows} == {"1"}


async def test_a_location_may_be_over_http_with_its_port(make: Make, connect: Connect) -> None:
    reply = await speaking(make, connect, "location_over_http").post(CREATE, json=NEW)
    told = f"http://api.thousandeyes.com:443/v7{TESTS}/agent-to-server/{reply.json()['testId']}"
    assert reply.headers["Location"] == told
