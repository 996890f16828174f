"""What a group knows of its tests: written step by step, and only what is ours."""

from uuid import uuid4

import pytest
from prefect.exceptions import ObjectNotFound

from tasks.blocks import EndpointTestGroup
from tasks.known_tests import KnownTests, creating_run, keeping_created, known_id
from thousandeyes.thresholds import Thresholds

pytestmark = pytest.mark.usefixtures("prefect_server")

RUN = uuid4()


async def known(name: str, **values: object) -> KnownTests:
    await EndpointTestGroup.model_validate(values).save(name, overwrite=True)
    return KnownTests(name, RUN)


def test_a_name_is_looked_up_among_the_groups_tests() -> None:
    group = EndpointTestGroup(test_ids=["1", "2", "3"], names={"2": "a", "3": "a", "1": "b"})
    assert [known_id(group, name) for name in ("a", "b", "c")] == ["2", "1", None]


def test_names_are_compared_as_they_are_shown() -> None:
    group = EndpointTestGroup(
        test_ids=["1"], names={"1": "Intranet\u00a0 "}, creating={"Bu\u0308ro": "a-run"}
    )
    assert [known_id(group, name) for name in ("Intranet", " Intra\u200bnet", "intranet")] == [
        *("1", "1", None)
    ]
    assert [creating_run(group, name) for name in ("B\u00fcro ", "Buro")] == ["a-run", None]


async def test_one_name_in_two_writings_is_noted_once() -> None:
    tests = await known("writings", creating={"Voice ": "before"})
    await tests.creating("Voice")
    assert (await tests.read()).creating == {"Voice": str(RUN)}
    await tests.created(" Voice", "2")
    group = await tests.read()
    assert (group.creating, group.names) == ({}, {"2": " Voice"})


async def test_a_creation_is_noted_with_its_run_and_then_with_its_id() -> None:
    tests = await known("noted", test_ids=["1"], names={"1": "old"})
    await tests.creating("new")
    assert (await tests.read()).creating == {"new": str(RUN)}
    await tests.created("new", "2")
    await tests.created("new", "2")  # as after a lost answer of the Prefect server
    group = await tests.read()
    assert (group.test_ids, group.names) == (["1", "2"], {"1": "old", "2": "new"})
    assert (group.created, group.creating) == (["2"], {})


def test_a_group_that_is_saved_from_a_file_keeps_what_was_created() -> None:
    there = EndpointTestGroup(
        test_ids=["1", "8", "9"],
        names={"1": "gone", "9": "made", "8": "made too"},
        created=["9", "8"],
        creating={"lost": "x"},
    )
    kept = keeping_created(EndpointTestGroup(test_ids=["2", "8"], names={"8": "mine"}), there)
    assert kept.test_ids == ["2", "8", "9"]
    assert kept.names == {"8": "made too", "9": "made"}, "by these names they are known"
    assert (kept.created, kept.creating) == (there.created, there.creating)
    assert keeping_created(kept, there) == kept


@pytest.mark.parametrize("before", [None, "an-earlier-run"])
async def test_a_creation_that_did_not_take_place_leaves_what_was_before(
    before: str | None,
) -> None:
    doubts = {"new": before} if before else {}
    tests = await known("left", creating=doubts | {"other": "x"})
    await tests.creating("new")
    await tests.not_created("new", before)
    assert (await tests.read()).creating == doubts | {"other": "x"}


async def test_what_somebody_saves_who_opened_the_group_before_takes_nothing_away() -> None:
    tests = await known("opened", test_ids=["1"])
    await tests.creating("made")
    await tests.created("made", "2")
    await tests.creating("in doubt")
    await tests.creating("refused")
    await tests.not_created("refused", "an-earlier-run")
    await tests.creating("settled by hand")
    by_hand = {"test_ids": ["1", "7"], "names": {"7": "settled by hand"}}
    await known("opened", **by_hand)
    await tests.creating("next")
    group = await tests.read()
    assert (group.test_ids, group.created) == (["1", "7", "2"], ["2"])
    assert group.names == {"7": "settled by hand", "2": "made"}
    doubts = dict.fromkeys(["in doubt", "next"], str(RUN))
    assert group.creating == doubts | {"refused": "an-earlier-run"}


async def test_what_somebody_renames_meanwhile_keeps_its_new_name() -> None:
    tests = await known("renamed")
    await tests.created("made", "2")
    await known("renamed", test_ids=["2"], names={"2": "their name"}, created=["2"])
    await tests.created("next", "3")
    assert (await tests.read()).names == {"2": "their name", "3": "next"}


async def test_a_run_that_may_no_longer_write_notes_nothing() -> None:
    tests = await known("taken", creating={"new": "the-other-process"})

    async def confirm() -> None:
        raise KeyError

    with pytest.raises(KeyError):
        await tests.creating("new", confirm)
    assert (await tests.read()).creating == {"new": "the-other-process"}


async def test_what_somebody_else_changes_meanwhile_stays() -> None:
    tests = await known("shared", test_ids=["1"])
    await tests.read()
    thresholds = Thresholds(max_loss_percent=5)
    await known("shared", test_ids=["1", "7"], thresholds=thresholds, aid="12")
    await tests.created("new", "2")
    group: EndpointTestGroup = await EndpointTestGroup.aload("shared")
    assert (group.test_ids, group.thresholds, group.aid) == (["1", "7", "2"], thresholds, "12")


async def test_a_group_that_is_gone_is_told() -> None:
    tests = KnownTests("nobodys", RUN)
    with pytest.raises(ObjectNotFound):
        await tests.creating("new")
