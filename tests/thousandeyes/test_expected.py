from typing import Any

import pytest

from thousandeyes.expected import expected_agents, is_http, kinds_of, only_agents
from thousandeyes.fleet import MOST_CHOSEN, AgentsPage, Fleet
from thousandeyes.models import Agent, EndpointTest
from thousandeyes.results import Kind

NOON = 1_800_000_000.0  # 2027-01-15T08:00:00Z
BOTH = {Kind.NETWORK, Kind.HTTP_SERVER}


def listed(**told: Any) -> EndpointTest:
    return EndpointTest.model_validate({"testId": "1"} | told)


@pytest.mark.parametrize(
    ("test", "kinds"),
    [
        (listed(type="agent-to-server"), {Kind.NETWORK}),
        (listed(type="http-server"), BOTH),
        (listed(type="something-new"), BOTH),
        (listed(), BOTH),
        (None, BOTH),
    ],
)
def test_the_type_tells_which_results_a_test_has(
    test: EndpointTest | None, kinds: set[Kind]
) -> None:
    assert kinds_of(test) == kinds
    assert is_http(test) is (test is not None and test.type == "http-server")


def fleet(online: str, asleep: str = "", **told: Any) -> Fleet:
    """Return a fleet of agents with these letters as IDs."""
    listed = [{"id": name} for name in online]
    listed += [{"id": name, "status": "disabled"} for name in asleep]
    page = {"total": len(listed), "is_last": True} | told
    found = Fleet()
    found.take(AgentsPage([Agent.model_validate(one) for one in listed], **page), NOON)
    return found


@pytest.mark.parametrize(
    ("selector", "online", "expected"),
    [
        ({}, "abc", {*"abc"}),
        ({"maxMachines": 2}, "abc", 2),
        ({"maxMachines": 25}, "abc", {*"abc"}),
        ({"maxMachines": 25, "agents": ["a", "z"]}, "abc", {"a"}),
        ({"maxMachines": 1, "agents": ["a", "b"]}, "abc", 1),
        ({"agents": []}, "abc", {*"abc"}),
        ({"agents": None, "maxMachines": None}, "abc", {*"abc"}),
        ({"maxMachines": 25}, "", set()),
        *(({"maxMachines": odd}, "abc", {*"abc"}) for odd in (-1, 0, True, [2], "two")),
    ],
)
def test_agents_are_expected_that_are_online_and_may_run_it(
    selector: dict[str, object], online: str, expected: set[str] | int
) -> None:
    assert expected_agents(listed(agentSelectorConfig=selector), fleet(online, "y")) == expected


@pytest.mark.parametrize(
    ("selector", "expected"),
    [
        ({}, None),
        ({"maxMachines": 3}, 3),
        ({"maxMachines": 2}, 2),
        ({"maxMachines": 4}, None),
        ({"agents": ["a", "y"]}, {"a"}),
        ({"agents": ["a", "z"]}, None),
        ({"agents": ["a", "z"], "maxMachines": 1}, 1),
    ],
)
def test_where_not_all_were_read_only_what_is_certain_is_expected(
    selector: dict[str, object], expected: set[str] | int | None
) -> None:
    part = fleet("abc", "y", total=9, is_last=False)
    assert expected_agents(listed(agentSelectorConfig=selector), part) == expected


def test_of_a_test_that_is_not_listed_everybody_online_is_expected() -> None:
    assert expected_agents(None, fleet("abc")) == {*"abc"}
    assert expected_agents(None, fleet("abc", total=9)) is None
    assert expected_agents(None, None) is None


def of_agents(*agents: str) -> EndpointTest:
    return listed(agentSelectorConfig={"agents": agents})


def test_agents_are_asked_for_alone_where_all_tests_name_them_and_they_are_few() -> None:
    many = of_agents(*map(str, range(MOST_CHOSEN)))
    assert only_agents([of_agents("a", "b"), of_agents("b", "c")]) == frozenset("abc")
    assert len(only_agents([many]) or ()) == MOST_CHOSEN
    assert only_agents([many, of_agents("one more")]) is None
    assert only_agents([of_agents("a"), listed()]) is None
    assert only_agents([of_agents("a"), None]) is None
    assert only_agents([]) is None


@pytest.mark.parametrize("config", [None, "all", 7, []])
def test_a_definition_without_a_readable_selector_is_taken(config: object) -> None:
    assert listed(agentSelectorConfig=config).max_machines is None


@pytest.mark.parametrize(
    ("told", "is_online"),
    [
        ({"lastSeen": "2027-01-15T07:59:00Z"}, True),
        ({"lastSeen": "2027-01-15T07:00:01Z"}, True),
        ({"lastSeen": "2027-01-15T07:00:00Z"}, False),
        ({"lastSeen": "2027-01-14T07:59:00Z"}, False),
        ({"lastSeen": "2027-01-15T07:59:00Z", "status": "disabled"}, False),
        ({"lastSeen": None}, True),
        ({}, True),
    ],
)
def test_an_agent_not_seen_for_an_hour_is_offline(
    told: dict[str, object],
    is_online: bool,  # noqa: FBT001
) -> None:
    assert Agent.model_validate({"id": "a"} | told).is_online(NOON) is is_online


def test_an_agent_goes_by_its_name_else_its_computers() -> None:
    told = {"id": "a", "name": "laptop", "computerName": "DESKTOP-1"}
    assert Agent.model_validate(told).name == "laptop"
    assert Agent.model_validate(told | {"name": None}).name == "DESKTOP-1"


@pytest.mark.parametrize(
    ("told", "interval"),
    [
        *((300, 300), ("300", 300)),
        *((odd, None) for odd in (0, -60, True, "often", None, 1e9)),
    ],
)
def test_an_interval_is_read_where_it_can_be_one(told: object, interval: int | None) -> None:
    assert listed(interval=told).interval == interval
