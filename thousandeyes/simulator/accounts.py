"""Account groups."""

from starlette.requests import Request
from starlette.responses import Response

from .gate import simulator_of
from .replies import HalJSONResponse


async def list_account_groups(request: Request) -> Response:
    """List the token's only account group."""
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
