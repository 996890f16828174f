"""What a Prefect server is set to that costs runs or lets strangers in, as far as it tells."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from prefect.client.orchestration import PrefectClient
from prefect.exceptions import PrefectHTTPStatusError

from deployments.steps import Found, Step

_IN_MEMORY: Final = "prefect.server.concurrency.lease_storage.memory"


async def weak_settings(client: PrefectClient) -> list[Step]:
    """Return a step for each setting of the server that should be another.

    Nobody but who starts the server can change one. A server that does not show its settings, as
    Prefect Cloud does not, has none that is known to be weak.
    """
    try:
        # The client has no method for it.
        response = await client.request("GET", "/admin/settings")
        server = response.json()["server"]
        return list(_weak(server["concurrency"], server["api"]))
    except (PrefectHTTPStatusError, ValueError, LookupError, TypeError):
        return []


def _weak(concurrency: Mapping[str, Any], api: Mapping[str, Any]) -> Iterator[Step]:
    if concurrency.get("lease_storage") == _IN_MEMORY:
        yield _step(
            "PREFECT_SERVER_CONCURRENCY_LEASE_STORAGE",
            "leases lie in its memory: when it is restarted, a run of scheduled ends as crashed "
            "minutes later",
        )
    open_to_all = api.get("cors_allowed_origins") == "*" and not api.get("csrf_protection_enabled")
    if open_to_all and not api.get("auth_string"):
        yield _step(
            "PREFECT_SERVER_CORS_ALLOWED_ORIGINS",
            "a page of any site that somebody here visits can read its API and start runs",
        )


def _step(variable: str, why: str) -> Step:
    return Step(Found.KEPT, f"setting {variable}", f"{why}; see docs/several-machines.md")
