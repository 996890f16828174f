"""Killed between any two steps and executed again, cancelled, refused: nothing is created twice."""

import asyncio
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from prefect.exceptions import ObjectNotFound
from prefect.settings import get_current_settings

from flows.create import CreateOptions, Definition, create_endpoint_tests
from flows.runs.ownership import OwnRun
from tasks.artifacts import read_outcomes
from tests.flows.create.killed import STEPS, names
from tests.flows.create.scene import CREATIONS, creations, group_of, held, save_group, voice
from tests.flows.scene import Simulate, artifacts_of, wait_until
from thousandeyes.errors import RunStopped
from thousandeyes.outcomes import Outcome
from thousandeyes.simulator import Fault

PROJECT = Path(__file__).parents[3]


@pytest.mark.servers
@pytest.mark.parametrize("hidden", [False, True], ids=["listed", "hidden"])
async def test_a_run_killed_between_any_two_steps_creates_nothing_twice(
    simulate: Simulate, *, hidden: bool
) -> None:
    simulator = simulate(tests=0, hide_instant_tests=hidden)
    api = str(get_current_settings().api.url)
    done = await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-m", "tests.flows.create.killed"],
        cwd=PROJECT,
        env=os.environ | {"PREFECT_API_URL": api},
        stdout=subprocess.PIPE,
        check=True,
    )
    told = json.loads(done.stdout)
    assert {tuple(endings) for _, *endings in told.values()} == {(-signal.SIGKILL, 0)}

    # Where the call was not sent, it looks the same as where its answer was lost.
    in_doubt = {"call"} | ({"id"} if hidden else set())
    counted = held(simulator)
    for step in STEPS:
        first, second = names(step)
        assert (counted[first], counted[second]) == (0 if step == "call" else 1, 1), step
        group = await group_of(step)
        assert set(group.creating) == ({first} if step in in_doubt else set()), step
        known = [name for name in (first, second) if name not in group.creating]
        assert sorted(group.names.values()) == known
        rows = await table_of(UUID(told[step][0]))
        assert (
            rows[first]
            == {
                "intention": "accepted",
                "call": "unknown",
                "id": "unknown" if hidden else "skipped",
                "artifact": "skipped",
                "next": "accepted",
                "summary": "accepted",
            }[step]
        )
        assert rows[second] == "accepted"


async def table_of(flow_run_id: UUID) -> dict[str, str]:
    rows = json.loads(str((await artifacts_of(flow_run_id))[CREATIONS[1]].data))
    return {row["test_name"]: row["outcome"] for row in rows}


@pytest.mark.servers
async def test_a_run_told_to_create_again_does_so_once_however_often_it_is_executed(
    simulate: Simulate,
) -> None:
    simulator = simulate(
        tests=0,
        hide_instant_tests=True,
        creation_faults={"a": Fault(replies=["dropped_after"] * 9)},
    )
    await save_group("again")
    await create_endpoint_tests("again", [voice("a")], options=CreateOptions(fail_on=[]))
    told = create_endpoint_tests.with_options(retries=2)
    with pytest.raises(Exception, match=r"1 of 1 tests failed: a \(unknown\)"):
        await told("again", [voice("a")], options=CreateOptions(create_again=["a"]))
    assert held(simulator) == {"a": 2}, "the first, and one that it was told to create"


async def test_a_cancelled_creation_is_in_doubt_and_the_others_had_no_turn(
    simulate: Simulate,
) -> None:
    simulator = simulate(tests=0, creation_faults={"b": Fault(replies=["stalled"])})
    await save_group("cancelled")
    wanted = [voice(name) for name in "abc"]
    running = asyncio.ensure_future(create_endpoint_tests("cancelled", wanted, return_state=True))
    await wait_until(lambda: creations(simulator) == 2)
    running.cancel()
    await asyncio.wait([running])
    group = await group_of("cancelled")
    assert (list(group.names.values()), list(group.creating)) == (["a"], ["b"])
    flow_run_id = UUID(group.creating["b"])
    rows = await table_of(flow_run_id)
    assert rows == {"b": "unknown", "c": "not_attempted", "a": "accepted"}
    summary = str((await artifacts_of(flow_run_id))[CREATIONS[0]].data)
    assert "it may exist. A retry adopts it if the API lists it; else put its ID" in summary
    assert "a retry creates it" in summary


async def test_a_creation_that_waits_because_it_was_refused_is_in_no_doubt(
    simulate: Simulate,
) -> None:
    simulator = simulate(tests=0, creation_faults={"b": Fault(replies=[429])})
    await save_group("refused")
    wanted = [voice(name) for name in "ab"]
    running = asyncio.ensure_future(create_endpoint_tests("refused", wanted, return_state=True))
    async with asyncio.timeout(60):
        while (group := await group_of("refused")).creating or creations(simulator) < 2:  # noqa: ASYNC110
            await asyncio.sleep(0.05)
    assert list(group.names.values()) == ["a"], "as the process that is killed now leaves it"
    running.cancel()
    await asyncio.wait([running])


async def test_an_id_that_is_not_stored_stops_the_run(
    simulate: Simulate, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def gone(*_: Any) -> None:
        raise ObjectNotFound(KeyError("the group was deleted"))

    monkeypatch.setattr("tasks.known_tests.KnownTests.created", gone)
    simulator = simulate(tests=0)
    await save_group("unstored")
    options = CreateOptions(fail_on=[])
    first, second = await create_endpoint_tests(
        "unstored", [voice("a"), voice("b")], options=options
    )
    assert first.outcome is Outcome.ACCEPTED
    assert "it is not recorded in the group" in first.detail
    assert second.outcome is Outcome.NOT_ATTEMPTED
    assert held(simulator) == {"a": 1}
    assert list((await group_of("unstored")).creating) == ["a"]
    [record] = await read_outcomes([UUID((await group_of("unstored")).creating["a"])])
    assert record.test_id == first.test_id


async def test_what_can_not_be_recorded_first_is_not_sent(
    simulate: Simulate, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def gone(*_: Any) -> None:
        raise ObjectNotFound(KeyError("the group was deleted"))

    monkeypatch.setattr("tasks.known_tests.KnownTests.creating", gone)
    simulator = simulate(tests=0)
    await save_group("unrecorded")
    [record] = await create_endpoint_tests(
        "unrecorded", [voice("a")], options=CreateOptions(fail_on=[])
    )
    assert (record.outcome, record.attempts) == (Outcome.NOT_ATTEMPTED, 0)
    assert "not sent" in record.detail
    assert creations(simulator) == 0


async def test_a_run_that_is_another_process_s_by_now_sends_nothing_more_and_leaves_the_group(
    simulate: Simulate, monkeypatch: pytest.MonkeyPatch
) -> None:
    simulator = simulate(tests=0)
    await save_group("taken-over", creating={"b": "the-other-process"})

    async def gone(self: OwnRun, trusted: float = 0.0) -> None:  # noqa: ARG001
        if simulator.tests:
            self.lost = True
            raise RunStopped("Prefect presumed this process dead")

    monkeypatch.setattr(OwnRun, "confirm", gone)
    options = CreateOptions(create_again=["b"])
    wanted: list[Definition] = [voice(name) for name in "abc"]
    await asyncio.wait(
        [asyncio.ensure_future(create_endpoint_tests("taken-over", wanted, options=options))]
    )
    assert held(simulator) == {"a": 1}
    group = await group_of("taken-over")
    assert (list(group.names.values()), group.creating) == (["a"], {"b": "the-other-process"})


async def test_ten_creations_in_a_row_without_a_useful_answer_end_the_run(
    simulate: Simulate,
) -> None:
    names = [f"n{number}" for number in range(11)]
    down = {name: Fault(replies=[502]) for name in names}
    simulator = simulate(tests=0, creation_faults=down)
    await save_group("down")
    records = await create_endpoint_tests(
        "down", [voice(name) for name in names], options=CreateOptions(fail_on=[])
    )
    assert creations(simulator) == 10
    assert [record.outcome for record in records[10:]] == [Outcome.NOT_ATTEMPTED]
