"""Real replies that differ from the description: each made for its test, and told by a simulator.

The bodies have the shapes of recordings of the live API of 2026.
"""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from pydantic import SecretStr

from tests.thousandeyes.agents import every_agent
from tests.thousandeyes.wire import says, wire
from thousandeyes.client import ThousandEyesClient
from thousandeyes.definitions import AgentToServerTest
from thousandeyes.errors import CallFailed, InvalidCall, NotFound, ReplyLost, TokenRefused
from thousandeyes.record import Record
from thousandeyes.results import Kind, rounds
from thousandeyes.rounds import Measured
from thousandeyes.settings import ThousandEyesSettings
from thousandeyes.simulator import Fault, Simulator, create_app, serve

TOKEN = "token"
RUN = "/v7/endpoint/tests/scheduled-tests/7/run"
NOW = "2027-01-15T08:00:00Z"


def client_of(url: str) -> ThousandEyesClient:
    return ThousandEyesClient(ThousandEyesSettings(token=SecretStr(TOKEN), base_url=url))


@asynccontextmanager
async def answering(body: object, status: str = "200 OK", **told: str) -> AsyncIterator[Any]:
    """Open a client of an API that always gives this answer."""
    text = body if isinstance(body, str) else json.dumps(body)
    async with wire(says(text, status, **told)) as server:
        async with client_of(f"http://127.0.0.1:{server.port}") as client:
            yield client


@asynccontextmanager
async def simulated(*dialects: str, **options: Any) -> AsyncIterator[Any]:
    """Open a client of a simulator that speaks these dialects; yields both."""
    chosen = {"tests": ["7"], "results_after_seconds": 0, "dialects": list(dialects), **options}
    app = create_app(token=TOKEN, **chosen)
    with serve(app) as server:
        async with client_of(server.url) as client:
            yield client, app.state.simulator


async def refusal_of(client: ThousandEyesClient, test_id: str = "7") -> CallFailed:
    with pytest.raises(CallFailed) as refusal:
        await client.rerun(Record(test_id))
    return refusal.value


ERRORS = [
    (
        "404 Not Found",
        {"title": "Not Found", "status": 404, "detail": "Test in account: 12 was not found."},
        NotFound,
        "404: Not Found: Test in account: 12 was not found",
    ),
    (
        "400 Bad Request",
        {"title": "Bad Request", "status": 400, "detail": "Failed to deserialize"},
        InvalidCall,
        "400: Bad Request: Failed to deserialize",
    ),
    (
        "400 Bad Request",
        {"title": "Wrong test:\n is no instant test", "status": 400, "instance": RUN},
        InvalidCall,
        "400: Wrong test: is no instant test",
    ),
    (
        "400 Bad Request",
        {
            "timestamp": "2026-07-14T09:26:53.589+00:00",
            "status": 400,
            "error": "Bad Request",
            "title": "Bad Request",
            "detail": "Type is wrong",
            "path": RUN,
        },
        InvalidCall,
        "400: Bad Request: Type is wrong",
    ),
    (
        "401 Unauthorized",
        {"errorMessage": "401 Not Authorized\nFull authentication is required"},
        TokenRefused,
        "401: Not Authorized Full authentication is required",
    ),
    ("404 Not Found", "", NotFound, "404: no body"),
]


@pytest.mark.parametrize(("status", "body", "error", "words"), ERRORS)
async def test_an_error_is_told_in_one_line_whatever_its_shape(
    status: str, body: object, error: type[CallFailed], words: str
) -> None:
    for kind in ("application/problem+json", "application/json"):
        async with answering(body, status, kind=kind) as client:
            refusal = await refusal_of(client)
        assert type(refusal) is error
        assert str(refusal) == words


@pytest.mark.parametrize(
    ("dialect", "words"),
    [
        ("errors_without_fields", "400: Bad Request: testId is not an instant test"),
        ("message_in_title", "400: Bad Request: testId is not an instant test"),
        ("timestamped_errors", "400: Bad Request: testId is not an instant test"),
    ],
)
async def test_so_is_a_simulators_400_in_its_dialect(dialect: str, words: str) -> None:
    async with simulated(dialect, faults={"7": Fault(replies=[400])}) as (client, _):
        refusal = await refusal_of(client)
    assert isinstance(refusal, InvalidCall)
    assert str(refusal) == words


async def test_so_is_a_simulators_404_without_a_body() -> None:
    async with simulated("empty_not_found") as (client, _):
        refusal = await refusal_of(client, "8")
    assert isinstance(refusal, NotFound)
    assert str(refusal) == "404: no body"


async def rows_of_7(client: ThousandEyesClient) -> list[Measured]:
    pages = rounds(client.read, Kind.NETWORK, ["7"], since=0)
    return [row async for page in pages for row in page.rows]


async def test_a_filter_that_finds_nothing_and_has_no_links_is_no_error() -> None:
    async with answering({"results": [], "totalHits": 0, "_links": {}}) as client:
        assert await rows_of_7(client) == []
    async with simulated("empty_as_json") as (client, _):
        assert await rows_of_7(client) == []


ROW = {"agentId": "a", "roundId": 1_800_000_000, "loss": 0.0}


@pytest.mark.parametrize("told", [{}, {"testId": None}, {"testId": "7"}, {"testId": 7}])
async def test_a_row_that_names_no_test_is_the_one_test_s(told: dict[str, object]) -> None:
    async with answering({"results": [ROW | told]}) as client:
        assert [row.test_id for row in await rows_of_7(client)] == ["7"]


async def test_a_row_that_names_another_test_is_not() -> None:
    async with answering({"results": [ROW | {"testId": "8"}, ROW | {"testId": []}]}) as client:
        assert await rows_of_7(client) == []


async def test_among_several_tests_a_row_that_names_none_is_nobody_s() -> None:
    async with answering({"results": [ROW, ROW | {"testId": "8"}]}) as client:
        pages = rounds(client.read, Kind.NETWORK, ["7", "8"], since=0)
        assert [row.test_id async for page in pages for row in page.rows] == ["8"]


async def test_if_no_row_can_be_read_the_results_could_not_be_read() -> None:
    async with answering({"results": [ROW, ROW]}) as client:
        with pytest.raises(ReplyLost, match="answered with 2 rows, none of them readable"):
            await anext(rounds(client.read, Kind.NETWORK, ["7", "8"], since=0))


async def test_a_simulators_rows_without_a_test_are_the_one_test_s() -> None:
    async with simulated("rows_without_test_id") as (client, simulator):
        await client.rerun(Record("7"))
        rows = await rows_of_7(client)
    assert {row.agent_id for row in rows} == online(simulator)
    assert {row.test_id for row in rows} == {"7"}


def online(simulator: Simulator) -> set[str]:
    return {agent.id for agent in simulator.agents if agent.is_online}


async def test_account_groups_may_be_numbers() -> None:
    group = {"aid": 1234, "accountGroupName": "A"}
    async with answering({"accountGroups": [group], "tests": [{"testId": 7, "aid": 12}]}) as client:
        assert [found.aid for found in await client.account_groups()] == ["1234"]
        assert [test.aid for test in await client.tests()] == ["12"]
    async with simulated("numeric_aid") as (client, _):
        assert [found.aid for found in await client.account_groups()] == ["1234"]
        assert [test.aid for test in await client.tests("1234")] == ["1234"]


async def test_a_date_without_a_zone_costs_its_row_the_date_alone() -> None:
    agents = [{"id": "a", "lastSeen": NOW.removesuffix("Z")}, {"id": "b", "lastSeen": NOW}]
    async with answering({"agents": agents}) as client:
        without, having = await every_agent(client)
    assert (without.agent_id, without.last_seen) == ("a", None)
    assert having.last_seen
    async with simulated("date_without_zone") as (client, simulator):
        without, *others = await every_agent(client)
    assert without.agent_id == simulator.agents[0].id
    assert without.last_seen is None
    assert all(agent.last_seen for agent in others)
    assert len(others) == len(simulator.agents) - 1


async def test_a_deleted_agent_is_not_online() -> None:
    agents = [{"id": "a", "deleted": True, "lastSeen": NOW}, {"id": "b", "deleted": False}]
    async with answering({"agents": agents}) as client:
        assert [agent.is_online(0.0) for agent in await every_agent(client)] == [False, True]
    async with simulated("deleted_agents", agents=30) as (client, simulator):
        found = await every_agent(client)
        now = client.server_time()
    assert {agent.agent_id for agent in found if agent.is_online(now)} == online(simulator)
    assert [agent.deleted for agent in found].count(True) == 6


LOCATION = "http://api.thousandeyes.com:443/v7/endpoint/tests/scheduled-tests/agent-to-server/765"


async def test_a_location_over_http_tells_the_id_of_what_was_created() -> None:
    definition = AgentToServerTest(test_name="Voice", server="voice.example.com")
    async with answering("{}", "201 Created", location=LOCATION) as client:
        assert await client.create(definition, Record("")) == "765"
    async with simulated("location_over_http") as (client, simulator):
        assert await client.create(definition, Record("")) == simulator.test_ids[-1]
