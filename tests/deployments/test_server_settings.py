"""Bootstrap tells what a Prefect server should be set to, where the server shows its settings."""

from typing import Any

import pytest
from prefect import get_client
from prefect.exceptions import PrefectHTTPStatusError
from prefect.settings import PREFECT_CLIENT_MAX_RETRIES, Settings, temporary_settings

from deployments.bootstrap import main
from deployments.environments import OF_THE_SERVER
from deployments.server_settings import _weak, unshared, weak_settings
from deployments.steps import Step
from tests.chaos.proxy import Proxy
from tests.deployments.scene import client_of
from tests.deployments.topology import Topology

LEASES = "PREFECT_SERVER_CONCURRENCY_LEASE_STORAGE"


@pytest.mark.usefixtures("prefect_server")
def test_a_server_with_prefects_own_settings_is_warned_of(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["--dry-run"]) == 0
    # Other tests may have put deployments on it.
    warned = [line for line in capsys.readouterr().out.splitlines() if " setting " in line]
    assert len(warned) == 2
    assert f"setting {LEASES} (concurrency leases are kept in memory: after a restart" in warned[0]
    assert "a page of any site that somebody here visits can read its API" in warned[1]
    assert all("see docs/several-machines.md" in line for line in warned)


def test_one_whose_csrf_token_any_page_can_fetch_is_warned_of_unless_it_has_a_password() -> None:
    api = {"cors_allowed_origins": "*", "csrf_protection_enabled": True}
    [step] = _weak({}, api)
    assert step.what == "setting PREFECT_SERVER_CORS_ALLOWED_ORIGINS"
    assert list(_weak({}, api | {"auth_string": "********"})) == []


async def test_one_that_is_set_as_the_docs_tell_is_not(machines: Topology) -> None:
    with client_of(machines):
        async with get_client() as client:
            assert await weak_settings(client) == []


@pytest.mark.servers
async def test_one_of_several_that_are_set_as_the_docs_tell_is_not(
    several_servers: Topology,
) -> None:
    with client_of(several_servers):
        async with get_client() as client:
            assert await weak_settings(client) == []


def as_shown(**server: Any) -> Any:
    """Return the settings of a server as its API shows them."""
    return Settings.model_validate({"server": server}).model_dump(mode="json")["server"]


@pytest.mark.parametrize(
    "storage", ["prefect.server.concurrency.lease_storage.filesystem", OF_THE_SERVER[LEASES]]
)
def test_one_that_shares_its_events_and_keeps_the_rest_to_itself_is_warned_of(
    monkeypatch: pytest.MonkeyPatch, storage: str
) -> None:
    monkeypatch.setenv(LEASES, storage)
    shared = {"messaging_broker": "prefect_redis.messaging"}
    assert [step.what for step in unshared(as_shown(events=shared))] == [
        "setting PREFECT_MESSAGING_CACHE",
        "setting PREFECT_SERVER_EVENTS_CAUSAL_ORDERING",
        f"setting {LEASES}",
        "setting PREFECT_SERVER_WORKER_CHANNEL_CLEANUP_QUEUE_STORAGE",
        "setting PREFECT_SERVER_DOCKET_URL",
    ]


def test_one_that_keeps_all_to_itself_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(LEASES, OF_THE_SERVER[LEASES])
    assert list(unshared(as_shown())) == []


async def warned_by_one_that(answers: str, server: Topology) -> list[Step]:
    async with Proxy(f"{server.url}/api") as proxy:
        proxy.mode = answers
        with client_of(server), temporary_settings({PREFECT_CLIENT_MAX_RETRIES: 0}):
            async with get_client() as client:
                client._client.base_url = proxy.url
                return await weak_settings(client)


@pytest.mark.parametrize("mode", ["403", "html"])
async def test_one_that_does_not_show_its_settings_is_not(one_machine: Topology, mode: str) -> None:
    assert await warned_by_one_that(mode, one_machine) == []


@pytest.mark.parametrize("mode", ["503", "429"])
async def test_one_that_is_busy_is_asked_again(one_machine: Topology, mode: str) -> None:
    with pytest.raises(PrefectHTTPStatusError, match=mode):
        await warned_by_one_that(mode, one_machine)
