"""Settings of a Prefect server that cost runs or let strangers in, as far as it shows them."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from prefect.client.orchestration import PrefectClient
from prefect.exceptions import PrefectHTTPStatusError

from deployments.busy_server import why_busy
from deployments.steps import Found, Step

_IN_MEMORY: Final = "prefect.server.concurrency.lease_storage.memory"
_SHARED: Final = {
    "PREFECT_MESSAGING_CACHE": ("events", "messaging_cache"),
    "PREFECT_SERVER_EVENTS_CAUSAL_ORDERING": ("events", "causal_ordering"),
    "PREFECT_SERVER_CONCURRENCY_LEASE_STORAGE": ("concurrency", "lease_storage"),
    "PREFECT_SERVER_WORKER_CHANNEL_CLEANUP_QUEUE_STORAGE": (
        "worker_channel",
        "cleanup_queue_storage",
    ),
    "PREFECT_SERVER_DOCKET_URL": ("docket", "url"),
}
"""What servers with a common broker must also share: the variable, and its place."""


async def weak_settings(client: PrefectClient) -> list[Step]:
    """Return a step for each setting of the server that should be changed.

    Only the person who starts the server can change them. For a server that does not show its
    settings, such as Prefect Cloud, there are none.

    Raises:
        PrefectHTTPStatusError: The server is too busy to say.
    """
    try:
        # The client has no method for this.
        response = await client.request("GET", "/admin/settings")
        server = response.json()["server"]
        return [*_weak(server["concurrency"], server["api"]), *unshared(server)]
    except PrefectHTTPStatusError as error:
        if why_busy(error):
            raise
    except (ValueError, LookupError, TypeError):
        pass
    return []


def _weak(concurrency: Mapping[str, Any], api: Mapping[str, Any]) -> Iterator[Step]:
    if concurrency.get("lease_storage") == _IN_MEMORY:
        yield _step(
            "PREFECT_SERVER_CONCURRENCY_LEASE_STORAGE",
            "concurrency leases are kept in memory: after a restart, a run of the deployment "
            "`scheduled` ends as crashed",
        )
    # A page that can read answers gets the CSRF token too.
    if api.get("cors_allowed_origins") == "*" and not api.get("auth_string"):
        yield _step(
            "PREFECT_SERVER_CORS_ALLOWED_ORIGINS",
            "a page of any site that somebody here visits can read its API and start runs",
        )


def unshared(server: Mapping[str, Any]) -> Iterator[Step]:
    """Yield what a server keeps to itself although it shares its events with others. Pure.

    Args:
        server: The server's section of the settings.
    """
    if _is_own(server["events"]["messaging_broker"]):
        return
    for variable, (section, name) in _SHARED.items():
        if _is_own(server.get(section, {}).get(name)):
            yield _step(
                variable,
                "the server shares its events with others, but keeps this to itself",
                page="several-servers",
            )


def _is_own(value: str | None) -> bool:
    """Return whether a setting names something of only this server; an unknown one doesn't."""
    on_this_machine = (".memory", ".filesystem", "deployments.leases")
    return value is not None and (value.endswith(on_this_machine) or value.startswith("memory:"))


def _step(variable: str, why: str, page: str = "several-machines") -> Step:
    return Step(Found.KEPT, f"setting {variable}", f"{why}; see docs/{page}.md")
