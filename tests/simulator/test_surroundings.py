"""What the simulator's laptops tell of themselves, and causes that lie in it."""

from collections.abc import Callable
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette

from tests.simulator.test_results import HTTP, IDS, NETWORK, RESULTS, run
from thousandeyes.simulator import Cause, create_app
from thousandeyes.simulator.surroundings import SSIDS

Make = Callable[..., Starlette]
Connect = Callable[[Starlette], httpx.AsyncClient]
MANY: dict[str, Any] = {
    "tests": IDS,
    "agents": 200,
    "max_machines": 200,
    "page_size": 500,
    "results_after_seconds": 0,
    "healthy": True,
}


async def rows(api: httpx.AsyncClient, test_id: str) -> list[dict[str, Any]]:
    await run(api, test_id)
    kind = "network" if test_id == NETWORK else "http-server"
    reply = await api.post(f"{RESULTS}/{test_id}/{kind}/filter")
    found: list[dict[str, Any]] = reply.json()["results"]
    return found


def is_cut_off(row: dict[str, Any]) -> bool:
    return row.get("loss") == 100 or row.get("errorType") == "connect"


def ssid(row: dict[str, Any]) -> str | None:
    found: str | None = row["networkProfile"].get("wirelessProfile", {}).get("ssid")
    return found


async def test_laptops_are_on_six_networks_and_some_on_cable(make: Make, connect: Connect) -> None:
    found = await rows(connect(make(**MANY)), NETWORK)
    assert {ssid(row) for row in found} == {None, *SSIDS}
    assert {row["networkProfile"]["hardwareType"] for row in found} == {"wireless", "ethernet"}
    assert not any(map(is_cut_off, found))
    assert sum("vpnProfile" in row for row in found) > 50


async def test_a_laptop_stays_where_it_is(make: Make, connect: Connect) -> None:
    api = connect(make(**MANY))
    first, second = [
        {row["agentId"]: (row["networkProfile"], row.get("vpnProfile")) for row in found}
        for found in (await rows(api, NETWORK), await rows(api, HTTP))
    ]
    assert first == second


@pytest.mark.parametrize("test_id", [NETWORK, HTTP])
async def test_a_cause_keeps_those_that_share_it_from_every_target(
    make: Make, connect: Connect, test_id: str
) -> None:
    cause = Cause(attribute="ssid", value="Guest-7F")
    found = await rows(connect(make(causes=[cause], **MANY)), test_id)
    assert {ssid(row) for row in found if is_cut_off(row)} == {"Guest-7F"}
    assert all(is_cut_off(row) for row in found if ssid(row) == "Guest-7F")


async def test_a_cause_may_lie_behind_some_of_the_failures(make: Make, connect: Connect) -> None:
    cause = Cause(attribute="interface", value="wireless", share=0.5)
    found = await rows(connect(make(causes=[cause], **MANY)), NETWORK)
    wireless = [row for row in found if ssid(row)]
    assert 0.35 < sum(map(is_cut_off, wireless)) / len(wireless) < 0.65
    assert not any(is_cut_off(row) for row in found if not ssid(row))


async def test_noise_fails_a_fraction_and_the_same_each_time(make: Make, connect: Connect) -> None:
    first, second = [await rows(connect(make(noise=0.1, **MANY)), NETWORK) for _ in range(2)]
    assert 0.04 < sum(map(is_cut_off, first)) / len(first) < 0.18
    assert first == second


@pytest.mark.parametrize(
    "options",
    [
        {"causes": [{"attribute": "user", "value": "Ada"}]},
        {"causes": [{"attribute": "ssid", "value": "Lab", "share": 0}]},
        {"noise": 1.1},
    ],
)
def test_a_cause_that_can_not_be_is_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="validation error"):
        create_app(**options)
