from collections.abc import Callable

import httpx
import pytest
from starlette.applications import Starlette

Make = Callable[..., Starlette]
Connect = Callable[[Starlette], httpx.AsyncClient]
AGENTS = "/endpoint/agents"


async def test_the_tokens_account_group_is_the_only_one(make: Make, connect: Connect) -> None:
    reply = await connect(make(aid="77")).get("/account-groups")
    (group,) = reply.json()["accountGroups"]
    assert group["aid"] == "77"
    assert group["isCurrentAccountGroup"]


async def test_agents_come_in_pages_of_at_most_what_is_asked_for(
    make: Make, connect: Connect
) -> None:
    app = make(agents=25, page_size=10)
    api = connect(app)
    found, sizes, url = [], [], f"{AGENTS}?max=8"
    while url:
        page = (await api.get(url)).json()
        assert page["totalAgents"] == 25
        found += [agent["id"] for agent in page["agents"]]
        sizes.append(len(page["agents"]))
        url = page["_links"].get("next", {}).get("href")
    assert sizes == [8, 8, 8, 1]
    assert found == [agent.id for agent in app.state.simulator.agents]
    assert len((await api.get(f"{AGENTS}?max=999")).json()["agents"]) == 10


@pytest.mark.parametrize("name", ["agentName", "computerName"])
async def test_a_name_is_matched_exactly(make: Make, connect: Connect, name: str) -> None:
    app = make()
    agent = app.state.simulator.agents[3]
    told = agent.name if name == "agentName" else agent.name.upper()
    api = connect(app)
    found = (await api.get(AGENTS, params={name: told})).json()["agents"]
    assert [a["id"] for a in found] == [agent.id]
    assert (await api.get(AGENTS, params={name: told[:-1]})).json()["agents"] == []


@pytest.mark.parametrize("largest", ["0", "-1", "many", "1.5", ""])
async def test_a_maximum_that_is_no_number_is_refused(
    make: Make, connect: Connect, largest: str
) -> None:
    reply = await connect(make()).get(AGENTS, params={"max": largest})
    assert reply.json()["errors"][0]["field"] == "max"
