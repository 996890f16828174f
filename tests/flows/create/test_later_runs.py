"""What later runs for a group do with what an earlier one created, or left in doubt."""

from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass

import pytest
import pytest_asyncio

from tasks.blocks import EndpointTestGroup
from tests.flows.create.scene import create, group_of, held, save_group
from tests.flows.scene import Scene
from thousandeyes.outcomes import Outcome
from thousandeyes.record import Record
from thousandeyes.simulator import Fault, Simulator

LOST = Fault(replies=["dropped_after"])
FAULTS = {
    "lost": LOST,
    "down": Fault(replies=[503]),
    "mended": LOST,
    "refused": Fault(replies=[403]),
    "lost, then refused": Fault(replies=["dropped_after", 400]),
    "a b": LOST,
}
DOUBTS = set(FAULTS) - {"refused"}
GOOD = ("good", "as good")


@dataclass
class Run:
    """What a run returned, and how it left the group and the tests, by name."""

    records: dict[str, Record]
    group: EndpointTestGroup
    held: Counter[str]


@dataclass
class ThreeRuns:
    """The first run meets the faults, and only the third is told to create the tests again.

    Before the third, a person gives the group the ID of the test that is called `mended`.
    """

    hidden: bool
    simulator: Simulator
    first: Run
    second: Run
    third: Run


async def play(scene: Scene, *, hidden: bool) -> ThreeRuns:
    group = "hidden" if hidden else "listed"

    async def run(*names: str, again: Collection[str] = ()) -> Run:
        # Good ones first and last: ten in a row without an answer would stop the run.
        wanted = [GOOD[0], *names, GOOD[1]]
        records = await create(*wanted, group=group, create_again=sorted(again))
        by_name = dict(zip(wanted, records, strict=True))
        return Run(by_name, await group_of(group), held(simulator))

    with scene() as simulate:
        simulator = simulate(tests=0, hide_instant_tests=hidden, creation_faults=FAULTS)
        await save_group(group, thresholds={"max_loss_percent": 5})
        first = await run(*FAULTS)
        second = await run(*[name for name in FAULTS if name != "a b"], "a\u00a0b ", "new")
        tests = simulator.tests.items()
        mended = {test_id: test.name for test_id, test in tests if test.name == "mended"}
        noted = second.group.model_dump(include={"test_ids", "names", "created", "creating"})
        noted["names"] |= mended
        noted["test_ids"] = list(dict.fromkeys([*noted["test_ids"], *mended]))
        await save_group(group, **noted)
        third = await run(*FAULTS, again=DOUBTS - {"a b"} | {" a b"})
    return ThreeRuns(hidden, simulator, first, second, third)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def where_tests_are_listed(scene: Scene) -> ThreeRuns:
    return await play(scene, hidden=False)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def where_tests_are_hidden(scene: Scene) -> ThreeRuns:
    return await play(scene, hidden=True)


@pytest.fixture(params=["listed", "hidden"])
def three_runs(request: pytest.FixtureRequest) -> ThreeRuns:
    played: ThreeRuns = request.getfixturevalue(f"where_tests_are_{request.param}")
    return played


def test_each_definition_is_created_once_and_belongs_to_the_group(three_runs: ThreeRuns) -> None:
    first, second = three_runs.first, three_runs.second
    created = {first.records[name].test_id: name for name in GOOD}
    assert [first.records[name].outcome for name in GOOD] == [Outcome.ACCEPTED] * 2
    assert {one: three_runs.simulator.tests[one].name for one in created} == created
    assert [three_runs.simulator.runs(test_id) for test_id in created] == [1, 1]
    assert first.group.test_ids == [*created]
    assert first.group.names == created
    assert set(first.group.creating) == DOUBTS
    assert first.group.thresholds
    assert [second.records[name].outcome for name in (*GOOD, "new")] == [
        *(Outcome.SKIPPED, Outcome.SKIPPED, Outcome.ACCEPTED)
    ]
    assert [second.held[name] for name in (*GOOD, "new")] == [1, 1, 1]


@pytest.mark.parametrize(
    ("name", "outcome", "applied"),
    [("down", Outcome.SERVER_ERROR, 0), ("lost", Outcome.UNKNOWN, 1)],
)
def test_after_a_lost_answer_a_test_is_not_created_again_without_being_told_to(
    three_runs: ThreeRuns, name: str, outcome: Outcome, applied: int
) -> None:
    lost = three_runs.first.records[name]
    assert (lost.outcome, lost.attempts) == (outcome, 1)
    assert name in three_runs.first.group.creating
    adopted = applied and not three_runs.hidden

    again = three_runs.second.records[name]
    if adopted:
        assert (again.outcome, "adopted" in again.detail) == (Outcome.SKIPPED, True)
    else:
        assert (again.outcome, again.attempts) == (Outcome.UNKNOWN, 0)
        assert "create_again" in again.detail
    assert three_runs.second.held[name] == applied

    told = three_runs.third.records[name]
    if adopted:
        assert told.outcome is Outcome.SKIPPED
        assert three_runs.third.held[name] == 1
    else:
        assert (told.outcome, told.maybe_duplicate) == (Outcome.ACCEPTED, True)
        assert three_runs.third.held[name] == applied + 1
    assert name not in three_runs.third.group.creating
    assert [three_runs.third.held[good] for good in GOOD] == [1, 1]


def test_a_doubt_is_known_by_the_name_that_is_shown(where_tests_are_hidden: ThreeRuns) -> None:
    three = where_tests_are_hidden
    again = three.second.records["a\u00a0b "]
    assert (again.outcome, again.attempts) == (Outcome.UNKNOWN, 0)
    assert (three.second.held["a b"], three.second.held["a\u00a0b "]) == (1, 0)
    assert three.third.records["a b"].outcome is Outcome.ACCEPTED
    assert "a b" not in three.third.group.creating


def test_a_doubt_ends_when_a_person_gives_the_group_the_id(
    where_tests_are_hidden: ThreeRuns,
) -> None:
    three = where_tests_are_hidden
    assert three.second.records["mended"].outcome is Outcome.UNKNOWN
    mended, group = three.third.records["mended"], three.third.group
    assert mended.outcome is Outcome.SKIPPED
    assert three.third.held["mended"] == 1
    assert "mended" in three.second.group.creating
    assert "mended" not in group.creating
    assert mended.test_id in group.created, "or bootstrap drops it, and it is created once more"
    assert group.test_ids.count(mended.test_id) == 1


def test_a_refused_creation_may_be_tried_by_the_next_run(three_runs: ThreeRuns) -> None:
    runs = (three_runs.first, three_runs.second, three_runs.third)
    assert [run.records["refused"].outcome for run in runs] == [
        *(Outcome.FORBIDDEN, Outcome.ACCEPTED, Outcome.SKIPPED)
    ]
    assert "refused" not in three_runs.first.group.creating
    assert three_runs.third.held["refused"] == 1


def test_a_refusal_after_a_doubt_leaves_the_doubt(where_tests_are_hidden: ThreeRuns) -> None:
    three = where_tests_are_hidden
    assert three.third.records["lost, then refused"].outcome is Outcome.INVALID
    before = three.first.group.creating["lost, then refused"]
    assert three.third.group.creating["lost, then refused"] == before
