"""The flow on a real Prefect server: what exists, what is created, what is in doubt."""

import json
import re
from typing import Any

import httpx
import pytest
from prefect.client.schemas.objects import State

from flows.create import CreationFailed, create_endpoint_tests
from tests.flows.create.scene import CREATIONS, create, creations, group_of, held, save_group, voice
from tests.flows.scene import Simulate, artifacts_of, fields
from thousandeyes.client import ThousandEyesClient
from thousandeyes.errors import SettingsError
from thousandeyes.models import EndpointTest
from thousandeyes.outcomes import Outcome
from thousandeyes.record import Record
from thousandeyes.simulator import Fault


def endings(records: list[Record]) -> list[Outcome]:
    return [record.outcome for record in records]


@pytest.mark.usefixtures("read_twice")
async def test_a_prefect_server_that_is_away_at_the_start_is_waited_for(simulate: Simulate) -> None:
    simulator = simulate(tests=0)
    await save_group("new")
    assert endings(await create("a", group="new")) == [Outcome.ACCEPTED]
    assert held(simulator) == {"a": 1}


async def test_what_was_created_is_recorded_as_a_rerun_is(simulate: Simulate) -> None:
    simulator = simulate(tests=0, creation_faults={"b": Fault(replies=[400])})
    await save_group("recorded")
    state: State[Any] = await create_endpoint_tests(
        "recorded", [voice("a"), voice("b")], return_state=True
    )
    assert state.is_failed()
    assert state.message == "1 of 2 tests failed: b (invalid); 1 created."
    with pytest.raises(CreationFailed, match=re.escape(state.message)) as failed:
        await state.aresult()
    assert endings(failed.value.outcomes) == [Outcome.ACCEPTED, Outcome.INVALID]
    assert state.state_details.flow_run_id
    artifacts = await artifacts_of(state.state_details.flow_run_id)
    [test_id] = simulator.test_ids
    summary, table = CREATIONS
    assert set(artifacts) == {summary, table, f"endpoint-test-{test_id}"}
    row = fields(artifacts[f"endpoint-test-{test_id}"])
    assert row["test_name"] == "a"
    assert row["detail"] == "created, and run once"
    rows = json.loads(str(artifacts[table].data))
    assert [(r["outcome"], r["test_id"], r["why"][:3]) for r in rows] == [
        ("invalid", "", "400"),
        ("accepted", test_id, "cre"),
    ]
    text = str(artifacts[summary].data)
    assert "- b: invalid\n\n  Why: 400: Bad Request" in text


async def test_a_test_whose_id_the_group_holds_exists_also_where_the_list_hides_it(
    simulate: Simulate,
) -> None:
    simulator = simulate(tests=["202701"], hide_instant_tests=True)
    await save_group("held", test_ids=["202701"], names={"202701": "a"})
    [record] = await create("a", group="held")
    assert (record.outcome, record.test_id) == (Outcome.SKIPPED, "202701")
    assert simulator.calls == [], "what the group knows costs no call"


@pytest.mark.parametrize("hidden", [False, True], ids=["listed", "hidden"])
async def test_a_test_that_is_listed_is_adopted_and_one_that_is_not_or_of_another_kind_is_created(
    simulate: Simulate, *, hidden: bool
) -> None:
    simulator = simulate(tests=["202701", "202702"], hide_instant_tests=hidden)
    name, of_the_other_kind = (simulator.tests[test_id].name for test_id in ("202701", "202702"))
    await save_group("adopting")
    record, other = await create(name, of_the_other_kind, group="adopting")
    if hidden:
        assert (record.outcome, held(simulator)[name]) == (Outcome.ACCEPTED, 2)
    else:
        assert (record.outcome, record.test_id) == (Outcome.SKIPPED, "202701")
        assert "adopted" in record.detail
        assert simulator.runs("202701") == 0
    assert (other.outcome, held(simulator)[of_the_other_kind]) == (Outcome.ACCEPTED, 2)
    assert (await group_of("adopting")).names == {
        record.test_id: name,
        other.test_id: of_the_other_kind,
    }


async def test_a_listed_test_without_a_type_is_adopted_and_the_list_is_read_once(
    simulate: Simulate, monkeypatch: pytest.MonkeyPatch
) -> None:
    simulate(tests=0)
    await save_group("untyped")
    asked = []

    async def listed(*_: object) -> list[EndpointTest]:
        asked.append(1)
        names = ("a", "b", "b")
        return [EndpointTest(testId=str(n), testName=name) for n, name in enumerate(names, 1)]

    monkeypatch.setattr("flows.create.run.list_endpoint_tests", listed)
    found = await create("a", "b", group="untyped")
    assert [(record.test_id, record.outcome) for record in found] == [
        *(("1", Outcome.SKIPPED), ("2", Outcome.SKIPPED))
    ]
    assert found[1].detail.endswith("adopted; the first of 2 tests with this name")
    assert len(asked) == 1


async def test_a_name_that_is_shown_alike_is_no_second_test(simulate: Simulate) -> None:
    simulator = simulate(tests=0)
    shown = ["Büro 1 Intranet", "Büro 2 Intranet", "Büro 3 Intranet", "Büro 4 Intranet"]
    written = [
        *("Büro 1 Intranet ", " Büro\u00a02 Intranet"),
        *("Bu\u0308ro  3 Intranet", "Büro 4 Intra\u200bnet"),
    ]
    for group in ("first", "second"):
        await save_group(group)
    created = await create(*written, group="first")
    assert endings(created) == [Outcome.ACCEPTED] * 4
    assert held(simulator) == dict.fromkeys(written, 1), "they are sent as they were written"
    adopted = await create(*shown, group="second")
    known = await create(*shown, group="first")
    assert endings([*adopted, *known]) == [Outcome.SKIPPED] * 8
    of_each = [[record.test_id for record in records] for records in (created, adopted, known)]
    assert of_each[0] == of_each[1] == of_each[2]
    assert held(simulator) == dict.fromkeys(written, 1)


async def test_a_refused_token_and_a_list_that_can_not_be_read_stop_the_run(
    simulate: Simulate, monkeypatch: pytest.MonkeyPatch
) -> None:
    simulator = simulate(tests=0, creation_faults={"a": Fault(replies=[401])})
    await save_group("stopped")
    first, second = await create("a", "b", group="stopped")
    assert (first.outcome, second.outcome) == (Outcome.FORBIDDEN, Outcome.NOT_ATTEMPTED)
    assert "token was refused" in second.detail
    monkeypatch.setenv("TE_TOKEN", "another")
    records = await create("a", "b", group="stopped")
    assert endings(records) == [Outcome.NOT_ATTEMPTED] * 2
    assert "list of tests can't be read" in records[0].detail
    assert held(simulator) == {}


async def test_the_groups_account_group_and_credentials_are_used(simulate: Simulate) -> None:
    simulator = simulate(tests=0, aid="77")
    await save_group("elsewhere", aid="77")
    [record] = await create("a", group="elsewhere")
    assert (record.outcome, record.aid) == (Outcome.ACCEPTED, "77")
    await save_group("nowhere", credentials="missing")
    with pytest.raises(SettingsError, match="missing"):
        await create("b", group="nowhere")
    assert held(simulator) == {"a": 1}


async def test_an_unreachable_api_is_tried_again_since_nothing_was_created(
    simulate: Simulate, monkeypatch: pytest.MonkeyPatch, unused_tcp_port: int
) -> None:
    simulator = simulate(tests=["202701"], creation_faults={})
    await save_group("unreachable")

    async def list_and_go(client: ThousandEyesClient, aid: str | None) -> list[EndpointTest]:
        listed = await client.tests(aid)
        client._http.base_url = httpx.URL(f"http://127.0.0.1:{unused_tcp_port}/v7")
        return listed

    monkeypatch.setattr("flows.create.run.list_endpoint_tests", list_and_go)
    [record] = await create("a", group="unreachable")
    assert (record.outcome, record.attempts) == (Outcome.UNREACHABLE, 4)
    assert (await group_of("unreachable")).creating == {}
    assert creations(simulator) == 0
