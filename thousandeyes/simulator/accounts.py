"""Account groups."""

from starlette.requests import Request
from starlette.responses import Response

from .gate import simulator_of
from .replies import HalJSONResponse


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
