"""Endpoint agents: listed, and filtered (description 7.0.110, as the vendor's SDK 6.0.0 has it)."""

from collections.abc import Callable, Sequence
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import Field
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from .gate import simulator_of
from .inventory import Agent
from .paging import cut, links, page_size, read_cursor
from .query import Body, Sort, ThresholdFilter, check_flags, expansions, parse_search
from .replies import HalJSONResponse, iso_utc
from .state import Simulator

_PATH = "/endpoint/agents"
_EXPANDABLE = frozenset({"clients", "vpnProfiles", "networkInterfaceProfiles"})

Platform = Literal[
    "windows", "roomos", "phoneos", "elux", "cisco-wireless", "cisco-wireless-cloud", "linux",
    "mac", "android",
]  # fmt: skip
LicenseType = Literal[
    "essentials", "advantage", "embedded", "embed-wireless-advantage", "embed-wireless-essentials"
]


class _Place(NamedTuple):
    city: str
    country: str
    subdivision: str


_PLACES = (_Place("Berlin", "DE", "BE"), _Place("Lyon", "FR", "ARA"), _Place("Leeds", "GB", "ENG"))


class _Filters(Body):
    """Which agents are wanted; an agent has to match any one of a field's values."""

    id: list[str] | None = None
    agent_name: list[str] | None = None
    computer_name: list[str] | None = None
    username: list[str] | None = None
    user_principal_name: list[str] | None = None
    platform: list[Platform] | None = None
    os_version: list[str] | None = None
    nic_model: list[str] | None = None
    nic_driver_version: list[str] | None = None
    serial_number: Annotated[list[str], Field(max_length=50)] | None = None
    location_country_iso: list[str] | None = Field(None, alias="locationCountryISO")
    location_subdivision1_code: list[str] | None = None
    location_city: list[str] | None = None
    license_type: list[LicenseType] | None = None
    any_connect_device_id: list[str] | None = None

    def admit(self, agent: Agent) -> bool:
        """Tell whether an agent is wanted."""
        return all(
            any(fits(agent, value) for value in wanted)
            for name, fits in _FITS.items()
            if (wanted := getattr(self, name))
        )


class _Search(Body):
    """The body of a filter call; all of it is optional."""

    search_filters: _Filters = Field(default_factory=_Filters)
    threshold_filter: ThresholdFilter[str] = Field(default_factory=ThresholdFilter[str])
    search_sort: list[
        Sort[Literal["platform", "osVersion", "name", "userName", "city", "serialNumber"]]
    ] = Field(default_factory=list)

    def apply(self, agents: Sequence[Agent]) -> Sequence[Agent]:
        """Return the agents that are wanted, sorted."""
        found = [agent for agent in agents if self.search_filters.admit(agent)]
        if bounds := self.threshold_filter.filters:
            needed = all if self.threshold_filter.conditional_operator == "and" else any
            found = [a for a in found if needed(bound.holds(_measured(a)) for bound in bounds)]
        for key in reversed(self.search_sort):
            found.sort(key=_SORTED_BY[key.sort], reverse=key.order == "desc")
        return found


async def list_agents(request: Request) -> Response:
    """List the agents, a page at a time; `agentName` and `computerName` match exactly."""
    query = request.query_params
    agents: Sequence[Agent] = simulator_of(request).agents
    if (name := query.get("agentName")) is not None:
        agents = [agent for agent in agents if agent.name == name]
    if (name := query.get("computerName")) is not None:
        agents = [agent for agent in agents if _computer(agent) == name]
    return await _page(request, agents, with_self=True)


async def filter_agents(request: Request) -> Response:
    """List the agents that the body asks for, a page at a time."""
    search = parse_search(_Search, await request.body())
    return await _page(request, search.apply(simulator_of(request).agents), with_self=False)


async def _page(request: Request, agents: Sequence[Agent], *, with_self: bool) -> Response:
    simulator = simulator_of(request)
    check_flags(request.query_params)
    expand = expansions(request.query_params, _EXPANDABLE)
    cursor = await read_cursor(request, simulator.now())
    size = page_size(request, simulator.options.page_size)
    told = [_tell(agent, simulator, cursor.as_of, expand) for agent in cut(agents, cursor, size)]
    more = await links(request, cursor, size, len(agents), with_self=with_self)
    return HalJSONResponse({"agents": told, "totalAgents": len(agents), "_links": more})


def _tell(agent: Agent, simulator: Simulator, now: float, expand: frozenset[str]) -> dict[str, Any]:
    last_seen, machine = iso_utc(now - agent.seen_seconds_ago), agent.machine
    if simulator.speaks("date_without_zone") and agent is simulator.agents[0]:
        last_seen = last_seen.removesuffix("Z")
    return {
        "id": agent.id,
        "aid": simulator.aid,
        "name": agent.name,
        "computerName": _computer(agent),
        "platform": agent.platform,
        "osVersion": machine.os,
        "nicModel": machine.nic_model,
        "nicDriverVersion": machine.nic_driver,
        "serialNumber": _serial_number(agent),
        "location": {"locationName": _place(agent).city},
        "status": "enabled",
        "deleted": agent.deleted,
        "lastSeen": last_seen,
        "version": "1.210.0",
        "agentType": "endpoint",
        "licenseType": "advantage",
        "tcpDriverAvailable": agent.platform == "windows",
        "agentExplainabilityFailures": [],
        "numberOfClients": 1,
        **_measured(agent),
        **{name: _expanded(agent, name) for name in expand},
    }


def _expanded(agent: Agent, name: str) -> list[dict[str, Any]]:
    if name == "clients":
        return [{"userProfile": {"userName": agent.user, "userPrincipalName": agent.email}}]
    if name == "vpnProfiles":
        return []
    address = {"addressType": "unique-local", "ipAddress": agent.address, "prefixLength": 16}
    return [{"interfaceName": "wifi0", "hardwareType": "wireless", "addressProfiles": [address]}]


def _computer(agent: Agent) -> str:
    return agent.name.upper()


def _serial_number(agent: Agent) -> str:
    return f"SN{agent.id[:8].upper()}"


def _place(agent: Agent) -> _Place:
    return _PLACES[int(agent.id[0], 16) % len(_PLACES)]


def _measured(agent: Agent) -> dict[str, float]:
    return {"freeDiskSpaceNormalized": round(0.2 + int(agent.id[1], 16) / 20, 2)}


def _equals(tell: Callable[[Agent], str]) -> Callable[[Agent, str], bool]:
    return lambda agent, value: tell(agent) == value


def _begins(tell: Callable[[Agent], str]) -> Callable[[Agent, str], bool]:
    return lambda agent, value: tell(agent).casefold().startswith(value.casefold())


_FITS: dict[str, Callable[[Agent, str], bool]] = {
    "id": _equals(lambda agent: agent.id),
    "agent_name": _equals(lambda agent: agent.name),
    "computer_name": _equals(_computer),
    "username": _begins(lambda agent: agent.user),
    "user_principal_name": _begins(lambda agent: agent.email),
    "platform": _equals(lambda agent: agent.platform),
    "os_version": _begins(lambda agent: agent.machine.os),
    "nic_model": _equals(lambda agent: agent.machine.nic_model),
    "nic_driver_version": _equals(lambda agent: agent.machine.nic_driver),
    "serial_number": _begins(_serial_number),
    "location_country_iso": _equals(lambda agent: _place(agent).country),
    "location_subdivision1_code": _equals(lambda agent: _place(agent).subdivision),
    "location_city": _begins(lambda agent: _place(agent).city),
    "license_type": lambda _, value: value == "advantage",
    "any_connect_device_id": lambda *_: False,  # no agent has it deployed
}
_SORTED_BY: dict[str, Callable[[Agent], str]] = {
    "platform": lambda agent: agent.platform,
    "osVersion": lambda agent: agent.machine.os,
    "name": lambda agent: agent.name,
    "userName": lambda agent: agent.user,
    "city": lambda agent: _place(agent).city,
    "serialNumber": _serial_number,
}

ROUTES = [
    Route(_PATH, list_agents),
    Route(f"{_PATH}/filter", filter_agents, methods=["POST"]),
]
