"""What the account group holds: seeded tests and endpoint agents."""

import random
import uuid
from collections.abc import Container, Iterator
from dataclasses import dataclass, field
from itertools import count, product
from typing import Any, Literal, NamedTuple

from .surroundings import surroundings

Kind = Literal["agent-to-server", "http-server"]
KINDS: tuple[Kind, Kind] = ("agent-to-server", "http-server")
DEFAULT_MAX_MACHINES = 25


class Machine(NamedTuple):
    """A laptop's operating system, network card, and that card's driver."""

    os: str
    nic_model: str
    nic_driver: str


# fmt: off
_CITIES = (
    "Amsterdam", "Berlin", "Bristol", "Dublin", "Gdansk", "Geneva", "Helsinki", "Leeds",
    "Lisbon", "Lyon", "Madrid", "Milan", "Oslo", "Porto", "Prague", "Turin", "Vienna", "Zurich",
)
# fmt: on
_NETWORK_SERVICES = {
    "Payroll over VPN": "payroll",
    "File share": "files",
    "Voice gateway": "voice",
    "Print server": "print",
    "VPN gateway": "vpn",
    "Warehouse terminal": "terminal",
}
_WEB_SERVICES = {
    "Intranet": "intranet",
    "Expenses": "expenses",
    "Holiday planner": "holidays",
    "Order desk": "orders",
    "Service desk": "desk",
    "Single sign-on": "login",
}
# fmt: off
_PEOPLE = (
    "Ada", "Bea", "Cem", "Dora", "Emil", "Finn", "Gita", "Hugo", "Ines", "Jan", "Kaya", "Lena",
    "Max", "Nora", "Omar", "Pia", "Ravi", "Sara",
)
# fmt: on
_PLATFORMS = ("windows", "windows", "windows", "mac", "mac", "linux")
_MACHINES = {
    "windows": Machine("Windows 11 24H2", "Intel Wi-Fi 6E AX211", "23.60.1.2"),
    "mac": Machine("macOS 15.5", "Wi-Fi BCM4387", "12.40"),
    "linux": Machine("Ubuntu 24.04", "Intel AX200", "6.8.0"),
}
_OFFLINE_SHARE = 0.12
_DELETED_EVERY = 5


@dataclass(frozen=True)
class EndpointTest:
    """An instant test; `settings` holds the fields of its definition under the API's names."""

    id: str
    kind: Kind
    name: str
    settings: dict[str, Any]
    server_ip: str
    created_at: float
    selector: dict[str, Any] = field(
        default_factory=lambda: {
            "agentSelectorType": "all-agents",
            "maxMachines": DEFAULT_MAX_MACHINES,
        }
    )


@dataclass(frozen=True)
class Agent:
    """A laptop with an endpoint agent, which the vendor calls offline if not seen for an hour."""

    id: str
    name: str
    user: str
    platform: str
    address: str
    is_online: bool
    seen_seconds_ago: int
    deleted: bool = False
    surroundings: dict[str, Any] = field(default_factory=dict, compare=False, repr=False)
    """What rows of results say about it, under the API's names."""

    @property
    def machine(self) -> Machine:
        """What it runs on."""
        return _MACHINES[self.platform]

    @property
    def email(self) -> str:
        """The user principal name."""
        return f"{self.user.lower()}@example.com"


def seeded_tests(
    seed: int,
    wanted: int | list[str],
    extra_ids: list[str],
    max_machines: int = DEFAULT_MAX_MACHINES,
) -> Iterator[EndpointTest]:
    """Yield the tests of this seed, alternating between both kinds.

    `wanted` is their number or their IDs; if it is a number, `extra_ids` are added. Each test runs
    on at most `max_machines` agents.
    """
    ids = wanted if isinstance(wanted, list) else _test_ids(seed, wanted, extra_ids)
    rng = random.Random(f"tests {seed}")  # noqa: S311  repeatable on purpose
    names = {kind: _names(rng, kind) for kind in KINDS}
    for index, test_id in enumerate(ids):
        kind = KINDS[index % 2]
        name, host = next(names[kind])
        settings: dict[str, Any] = (
            {"server": host, "port": 443}
            if kind == "agent-to-server"
            else {"url": f"https://{host}/"}
        )
        yield EndpointTest(
            test_id,
            kind,
            name,
            settings,
            server_ip(rng),
            created_at=1_767_600_000 + 900 * index,
            selector={"agentSelectorType": "all-agents", "maxMachines": max_machines},
        )


def seeded_agents(seed: int, wanted: int, *, deleted: bool = False) -> list[Agent]:
    """Return the agents of this seed; about one in eight is offline, but never the first.

    With `deleted`, every fifth is deleted, and may have been seen shortly before.
    """
    rng = random.Random(f"agents {seed}")  # noqa: S311  repeatable on purpose
    agents = []
    for index in range(wanted):
        is_seen = rng.random() > _OFFLINE_SHARE or index == 0
        is_deleted = deleted and index % _DELETED_EVERY == _DELETED_EVERY - 1
        user = rng.choice(_PEOPLE)
        platform = rng.choice(_PLATFORMS)
        agent_id = str(uuid.UUID(int=rng.getrandbits(128), version=4))
        address = f"10.{rng.randrange(256)}.{rng.randrange(256)}.{rng.randrange(1, 255)}"
        agents.append(
            Agent(
                id=agent_id,
                name=f"{user.lower()}-{platform[:3]}-{index + 1:03d}",
                user=user,
                platform=platform,
                address=address,
                is_online=is_seen and not is_deleted,
                seen_seconds_ago=rng.randrange(600) if is_seen else rng.randrange(7_200, 400_000),
                deleted=is_deleted,
                surroundings=surroundings(seed, index, address),
            )
        )
    return agents


def server_ip(rng: random.Random) -> str:
    """Return an address of the range that RFC 5737 keeps for examples."""
    return f"203.0.113.{rng.randrange(1, 255)}"


def new_test_id(rng: random.Random, taken: Container[str]) -> str:
    """Return nine digits, like the IDs in the vendor's examples."""
    while True:
        test_id = str(rng.randrange(100_000_000, 1_000_000_000))
        if test_id not in taken:
            return test_id


def _test_ids(seed: int, wanted: int, extra_ids: list[str]) -> list[str]:
    # A random source of its own, so that the number of tests doesn't affect the first ones.
    rng = random.Random(f"ids {seed}")  # noqa: S311  repeatable on purpose
    ids: dict[str, None] = {}
    for _ in range(wanted):
        ids[new_test_id(rng, ids)] = None
    return list(ids | dict.fromkeys(extra_ids))


def _names(rng: random.Random, kind: Kind) -> Iterator[tuple[str, str]]:
    services = _NETWORK_SERVICES if kind == "agent-to-server" else _WEB_SERVICES
    places = list(product(services.items(), _CITIES))
    rng.shuffle(places)
    for lap in count(1):
        for (service, host), city in places:
            suffix = f" {lap}" if lap > 1 else ""
            yield f"{service} ({city}){suffix}", f"{host}.{city.lower()}.example.com"
