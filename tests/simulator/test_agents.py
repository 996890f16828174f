from collections.abc import Callable
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette

Make = Callable[..., Starlette]
Connect = Callable[[Starlette], httpx.AsyncClient]
AGENTS = "/endpoint/agents"


@pytest.fixture
def app(make: Make) -> Starlette:
    return make(agents=40, page_size=100)


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
async def test_a_name_is_matched_exactly(app: Starlette, connect: Connect, name: str) -> None:
    agent = app.state.simulator.agents[3]
    told = agent.name if name == "agentName" else agent.name.upper()
    api = connect(app)
    found = (await api.get(AGENTS, params={name: told})).json()["agents"]
    assert [a["id"] for a in found] == [agent.id]
    assert (await api.get(AGENTS, params={name: told[:-1]})).json()["agents"] == []


@pytest.mark.parametrize("largest", ["0", "-1", "many", "1.5", ""])
async def test_a_maximum_that_is_no_number_is_refused(
    app: Starlette, connect: Connect, largest: str
) -> None:
    reply = await connect(app).get(AGENTS, params={"max": largest})
    assert reply.json()["errors"][0]["field"] == "max"


FILTERS: dict[str, tuple[list[str], Callable[[Any], bool]]] = {
    "username": (["a", "B"], lambda agent: agent["name"][0] in "ab"),
    "userPrincipalName": (["ADA@"], lambda agent: agent["name"].startswith("ada-")),
    "platform": (["mac", "linux"], lambda agent: agent["platform"] != "windows"),
    "osVersion": (["win", "ubu"], lambda agent: agent["platform"] != "mac"),
    "nicModel": (["Intel AX200"], lambda agent: agent["nicModel"] == "Intel AX200"),
    "nicDriverVersion": (["12.40", "6"], lambda agent: agent["platform"] == "mac"),
    "serialNumber": (["sn0", "sn1"], lambda agent: agent["serialNumber"][2] in "01"),
    "locationCity": (["Ber"], lambda agent: agent["location"]["locationName"] == "Berlin"),
    "locationCountryISO": (["FR"], lambda agent: agent["location"]["locationName"] == "Lyon"),
    "locationSubdivision1Code": (["ENG"], lambda a: a["location"]["locationName"] == "Leeds"),
    "licenseType": (["advantage", "embed-wireless-advantage"], lambda _: True),
    "anyConnectDeviceId": (["x"], lambda _: False),
}
"""What each filter is given, and which agents it should let through."""


async def filtered(api: httpx.AsyncClient, **search: Any) -> list[dict[str, Any]]:
    page = (await api.post(f"{AGENTS}/filter", json=search)).json()
    assert page["totalAgents"] == len(page["agents"])
    return list(page["agents"])


@pytest.mark.parametrize("name", FILTERS)
async def test_each_filter_lets_those_through_that_fit(
    app: Starlette, connect: Connect, name: str
) -> None:
    api = connect(app)
    values, fits = FILTERS[name]
    everybody = await filtered(api)
    expected = [agent["id"] for agent in everybody if fits(agent)]
    found = await filtered(api, searchFilters={name: values})
    assert [agent["id"] for agent in found] == expected
    assert len(everybody) == 40
    assert expected or name == "anyConnectDeviceId"


@pytest.mark.parametrize("name", ["id", "agentName", "computerName"])
async def test_an_id_or_a_name_finds_its_agent_alone(
    app: Starlette, connect: Connect, name: str
) -> None:
    agent = app.state.simulator.agents[5]
    values = {"id": agent.id, "agentName": agent.name, "computerName": agent.name.upper()}
    found = await filtered(connect(app), searchFilters={name: [values[name], "nobody"]})
    assert [one["id"] for one in found] == [agent.id]


async def test_several_filters_all_count(app: Starlette, connect: Connect) -> None:
    api = connect(app)
    filters = {"platform": ["mac"], "locationCity": ["Berlin"]}
    found = await filtered(api, searchFilters=filters)
    assert found
    assert {(a["platform"], a["location"]["locationName"]) for a in found} == {("mac", "Berlin")}


async def test_agents_are_sorted_and_bound_as_asked(app: Starlette, connect: Connect) -> None:
    sort = [{"sort": "platform", "order": "desc"}, {"sort": "name"}]
    bound = {"filters": [{"name": "freeDiskSpaceNormalized", "operator": "gte", "value": 0.5}]}
    found = await filtered(connect(app), searchSort=sort, thresholdFilter=bound)
    assert 0 < len(found) < 40
    assert all(agent["freeDiskSpaceNormalized"] >= 0.5 for agent in found)
    assert [a["platform"] for a in found] == sorted((a["platform"] for a in found), reverse=True)
    macs = [agent["name"] for agent in found if agent["platform"] == "mac"]
    assert macs == sorted(macs)


async def test_pages_of_a_filter_link_to_the_next_and_not_to_themselves(
    make: Make, connect: Connect
) -> None:
    api = connect(make(agents=25, page_size=10))
    first = (await api.post(f"{AGENTS}/filter", json={})).json()
    assert set(first["_links"]) == {"next"}
    second = (await api.post(first["_links"]["next"]["href"], json={})).json()
    assert len(second["agents"]) == 10


@pytest.mark.parametrize(
    "search",
    [
        {"searchFilters": {"platform": ["toaster"]}},
        {"searchFilters": {"serialNumber": ["x"] * 51}},
        {"searchFilters": {"id": "not a list"}},
        {"searchSort": [{"sort": "colour"}]},
    ],
)
async def test_a_filter_that_can_not_be_is_refused(
    app: Starlette, connect: Connect, search: object
) -> None:
    assert (await connect(app).post(f"{AGENTS}/filter", json=search)).status_code == 400


async def test_what_is_expanded_is_told(app: Starlette, connect: Connect) -> None:
    api = connect(app)
    query = {"expand": ["clients,vpnProfiles", "networkInterfaceProfiles"]}
    plain = (await api.get(AGENTS)).json()["agents"][0]
    full = (await api.get(AGENTS, params=query)).json()["agents"][0]
    assert set(full) - set(plain) == {"clients", "vpnProfiles", "networkInterfaceProfiles"}
    assert full["agentExplainabilityFailures"] == []
    assert (await api.get(f"{AGENTS}?expand=tasks")).status_code == 400
