"""What the tests of creations share: groups, definitions, and what the simulator holds by name."""

from collections import Counter
from typing import Any

from flows.create import CreateOptions, create_endpoint_tests
from tasks.blocks import EndpointTestGroup
from tasks.loading import load_groups
from thousandeyes.definitions import AgentToServerTest
from thousandeyes.record import Record
from thousandeyes.simulator import Simulator

CREATIONS = ("endpoint-creations-local", "endpoint-creation-outcomes-local")


def voice(name: str = "Voice") -> AgentToServerTest:
    return AgentToServerTest(test_name=name, server="voice.example.com")


async def create(*names: str, group: str, **options: Any) -> list[Record]:
    """Run the flow for network tests of these names; whatever happens, it passes."""
    return await create_endpoint_tests(
        group, [voice(name) for name in names], options=CreateOptions(fail_on=[], **options)
    )


async def save_group(name: str, **values: Any) -> None:
    await EndpointTestGroup.model_validate(values).save(name, overwrite=True)


async def group_of(name: str) -> EndpointTestGroup:
    return (await load_groups([name]))[name]


def held(simulator: Simulator) -> Counter[str]:
    """Return how many tests of each name the simulator holds."""
    return Counter(test.name for test in simulator.tests.values())


def creations(simulator: Simulator) -> int:
    return sum(call.path.endswith("/instant") for call in simulator.calls)
