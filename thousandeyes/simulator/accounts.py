"""Account groups and endpoint agents."""

from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from .gate import simulator_of
from .inventory import Agent
from .paging import cut, links, page_size, read_cursor
from .query import check_flags
from .replies import HalJSONResponse, iso_utc
from .state import Simulator


async def list_account_groups(request: Request) -> Response:
    """Tell the one account group that the token has."""
    group = {
        "aid": simulator_of(request).aid,
        "accountGroupName": "Simulated network team",
        "isCurrentAccountGroup": True,
        "isDefaultAccountGroup": True,
        "organizationName": "Simulator",
        "orgId": "1",
    }
    return HalJSONResponse(
        {"accountGroups": [group], "_links": {"self": {"href": str(request.url)}}}
    )


async def list_agents(request: Request) -> Response:
    """Tell the agents, a page at a time; `agentName` and `computerName` match exactly."""
    simulator = simulator_of(request)
    query = request.query_params
    check_flags(query)
    cursor = await read_cursor(request, simulator.now())
    size = page_size(request, simulator.options.page_size)
    agents = [
        agent
        for agent in simulator.agents
        if query.get("agentName", agent.name) == agent.name
        and query.get("computerName", _computer(agent)) == _computer(agent)
    ]
    return HalJSONResponse(
        {
            "agents": [
                _tell(agent, simulator, cursor.as_of) for agent in cut(agents, cursor, size)
            ],
            "totalAgents": len(agents),
            "_links": await links(request, cursor, size, len(agents), with_self=True),
        }
    )


def _computer(agent: Agent) -> str:
    return agent.name.upper()


def _tell(agent: Agent, simulator: Simulator, now: float) -> dict[str, Any]:
    last_seen = iso_utc(now - agent.seen_seconds_ago)
    if simulator.speaks("date_without_zone") and agent is simulator.agents[0]:
        last_seen = last_seen.removesuffix("Z")
    return {
        "id": agent.id,
        "aid": simulator.aid,
        "name": agent.name,
        "computerName": _computer(agent),
        "platform": agent.platform,
        "status": "enabled",
        "deleted": agent.deleted,
        "lastSeen": last_seen,
        "version": "1.210.0",
        "agentType": "endpoint",
        "licenseType": "advantage",
        "tcpDriverAvailable": agent.platform == "windows",
        "numberOfClients": 1,
    }
