"""A run is called after what it runs, and tagged with its groups."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import pytest
from prefect import get_client
from prefect.client.schemas.objects import FlowRun
from prefect.utilities.names import generate_slug

from flows.rerun import naming, rerun_endpoint_tests
from flows.rerun.naming import called, give_name, name_of
from flows.rerun.parameters import Parameters
from tasks.blocks import EndpointTestGroup
from tests.flows.rerun.test_interruptions import latest_run
from tests.flows.scene import Simulate, ids

pytestmark = pytest.mark.usefixtures("prefect_server")

Given = Callable[..., Awaitable[dict[str, Any]]]

AT = datetime(2026, 11, 28, 10, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("asked", "tests", "name"),
    [
        ({}, 41, "41 tests, 2026-11-28 10:00"),
        ({}, 1, "1 test, 2026-11-28 10:00"),
        ({"groups": ["offices"]}, 41, "offices: 41 tests, 2026-11-28 10:00"),
        ({"groups": ["a", "b", "a", "c"]}, 3, "a, b, c: 3 tests, 2026-11-28 10:00"),
        ({"groups": list("abcde")}, 9, "a, b, c and 2 more: 9 tests, 2026-11-28 10:00"),
        ({"options": {"dry_run": True}}, 2, "dry run of 2 tests, 2026-11-28 10:00"),
        (
            {"options": {"only_failed_of": "merry-fox"}},
            2,
            "2 tests that failed, 2026-11-28 10:00",
        ),
    ],
)
def test_a_name_tells_groups_count_and_time(asked: dict[str, Any], tests: int, name: str) -> None:
    assert name_of(Parameters.read(**asked), tests, AT) == name


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("offices: 6 tests, 2026-11-28 10:00", '"offices: 6 tests, 2026-11-28 10:00"'),
        ("Change 42", '"Change 42" of 2026-11-28 10:00 UTC'),
        ("רשת 3", '"\u2068רשת 3\u2069" of 2026-11-28 10:00 UTC'),
    ],
)
def test_in_a_text_a_run_is_quoted_and_its_time_told_once(name: str, words: str) -> None:
    assert called(FlowRun(flow_id=uuid4(), name=name, start_time=AT)) == words


async def run_of(name: str | None, groups: list[str]) -> FlowRun:
    flow = rerun_endpoint_tests.with_options(flow_run_name=name) if name else rerun_endpoint_tests
    await flow(groups=groups)
    return await latest_run()


async def test_a_run_that_nobody_named_gets_one_and_its_groups_as_tags(simulate: Simulate) -> None:
    simulate(tests=ids(2))
    group = EndpointTestGroup(test_ids=ids(2), names={"202701": "רשת 3"})
    await group.save("offices", overwrite=True)
    run = await run_of(None, ["offices"])
    assert run.name.startswith("offices: 2 tests, 20")
    assert run.tags == ["offices"]
    names: set[str] = set()
    async with get_client() as client, asyncio.timeout(60):
        while len(names) < 2:  # Prefect stores task runs when it comes to it
            tasks = await client.read_task_runs()
            names = {one.name for one in tasks if one.flow_run_id == run.id}
    assert {name.rpartition(", ")[2] for name in names} == set(ids(2))
    assert "\u2068רשת 3\u2069, 202701" in names


@pytest.mark.parametrize("name", ["mu879-canis-majoris", "Rustic-Wasp"])
async def test_a_name_that_a_form_fills_in_is_none_that_somebody_chose(
    simulate: Simulate, name: str
) -> None:
    simulate(tests=ids(2))
    await EndpointTestGroup(test_ids=ids(2)).save("offices", overwrite=True)
    assert (await run_of(name, ["offices"])).name.startswith("offices: 2 tests, 20")


async def test_a_name_that_somebody_chose_stays(simulate: Simulate) -> None:
    simulate(tests=ids(2))
    await EndpointTestGroup(test_ids=ids(2)).save("offices", overwrite=True)
    name = f"Change 42 {uuid4()}"
    run = await run_of(name, ["offices"])
    assert (run.name, run.tags) == (name, ["offices"])


@pytest.mark.parametrize(
    "name",
    [
        *("nightly-run of 7", "Mu-metal lab", "xi-beam: 41 tests", "Small-Office VPN"),
        *("vpn-cutover", "hot-fix", "beta-test"),
    ],
)
async def test_what_only_looks_like_a_name_that_nobody_chose_stays_and_so_do_tags_in_their_order(
    name: str, given: Given
) -> None:
    assert await given(name) == {"name": name, "tags": ["urgent", "offices"]}


@pytest.mark.parametrize("name", ["mu879-angmar-before", "Rustic-Wasp-after"])
async def test_a_subflow_keeps_what_its_parent_made_of_its_own_name(
    name: str, given: Given
) -> None:
    assert (await given(name, parent_task_run_id=uuid4()))["name"] == name


async def test_a_subflow_that_nobody_named_gets_a_name(given: Given) -> None:
    name = generate_slug(2)
    assert (await given(name, parent_task_run_id=uuid4()))["name"] == "offices: 41 tests"


@pytest.fixture
def given(monkeypatch: pytest.MonkeyPatch) -> Given:
    """Return what gives a run a name and tags, and returns what these are then."""
    changed: dict[str, Any] = {}

    async def change(_: FlowRun, **values: Any) -> None:
        changed.update(values)

    async def give(name: str, **told: Any) -> dict[str, Any]:
        run = FlowRun(flow_id=uuid4(), name=name, tags=["urgent", "offices"], **told)
        await give_name(run, "offices: 41 tests", ["offices"])
        return changed

    monkeypatch.setattr(naming, "_change", change)
    return give
