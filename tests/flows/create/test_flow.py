"""The flow on a real Prefect server: what exists, what is created, what is in doubt."""

import json
import re
from pathlib import Path
from typing import Any

import httpx
import pytest
from prefect.blocks.system import Secret
from prefect.client.schemas.objects import State

from flows.create import CreateOptions, CreationFailed, create_endpoint_tests
from tests.flows.create.scene import CREATIONS, creations, group_of, held, save_group, voice
from tests.flows.scene import Simulate, artifacts_of, fields
from thousandeyes.client import ThousandEyesClient
from thousandeyes.errors import InvalidDefinitions, SettingsError
from thousandeyes.models import EndpointTest
from thousandeyes.outcomes import Outcome
from thousandeyes.record import Record
from thousandeyes.simulator import Fault

LOST = Fault(replies=["dropped_after"])

hidden_or_listed = pytest.mark.parametrize("hidden", [False, True], ids=["listed", "hidden"])


async def create(*names: str, group: str = "new", **options: Any) -> list[Record]:
    """Run the flow for network tests of these names; whatever happens, it passes."""
    return await create_endpoint_tests(
        group, [voice(name) for name in names], options=CreateOptions(fail_on=[], **options)
    )


def endings(records: list[Record]) -> list[Outcome]:
    return [record.outcome for record in records]


@hidden_or_listed
async def test_each_definition_is_created_once_and_belongs_to_the_group(
    simulate: Simulate, *, hidden: bool
) -> None:
    simulator = simulate(tests=0, hide_instant_tests=hidden)
    await save_group("new", thresholds={"max_loss_percent": 5})
    records = await create("a", "b", "c")
    assert endings(records) == [Outcome.ACCEPTED] * 3
    assert [record.test_id for record in records] == simulator.test_ids
    assert [simulator.runs(test_id) for test_id in simulator.test_ids] == [1, 1, 1]
    group = await group_of("new")
    assert group.test_ids == simulator.test_ids
    assert group.names == dict(zip(simulator.test_ids, "abc", strict=True))
    assert (group.creating, group.thresholds is None) == ({}, False)
    again = await create("a", "b", "c", "d")
    assert endings(again) == [Outcome.SKIPPED] * 3 + [Outcome.ACCEPTED]
    assert held(simulator) == dict.fromkeys("abcd", 1)


@pytest.mark.usefixtures("read_twice")
async def test_a_prefect_server_that_is_away_at_the_start_is_waited_for(simulate: Simulate) -> None:
    simulator = simulate(tests=0)
    await save_group("new")
    assert endings(await create("a")) == [Outcome.ACCEPTED]
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


@hidden_or_listed
async def test_a_test_whose_id_the_group_holds_exists_also_where_the_list_hides_it(
    simulate: Simulate, *, hidden: bool
) -> None:
    simulator = simulate(tests=["202701"], hide_instant_tests=hidden)
    await save_group("held", test_ids=["202701"], names={"202701": "a"})
    [record] = await create("a", group="held")
    assert (record.outcome, record.test_id) == (Outcome.SKIPPED, "202701")
    assert simulator.calls == [], "what the group knows costs no call"


@hidden_or_listed
async def test_a_name_that_is_listed_is_adopted_and_one_that_is_not_is_created(
    simulate: Simulate, *, hidden: bool
) -> None:
    simulator = simulate(tests=["202701"], hide_instant_tests=hidden)
    name = simulator.tests["202701"].name
    await save_group("adopting")
    [record] = await create(name, group="adopting")
    group = await group_of("adopting")
    if hidden:
        assert (record.outcome, held(simulator)[name]) == (Outcome.ACCEPTED, 2)
    else:
        assert (record.outcome, record.test_id) == (Outcome.SKIPPED, "202701")
        assert "adopted" in record.detail
        assert simulator.runs("202701") == 0
    assert group.names == {record.test_id: name}


@pytest.mark.parametrize(
    "listed",
    ["Büro Intranet ", " Büro\u00a0Intranet", "Bu\u0308ro  Intranet", "Büro Intra\u200bnet"],
    ids=ascii,
)
async def test_a_name_that_is_shown_alike_is_no_second_test(
    simulate: Simulate, listed: str
) -> None:
    simulator = simulate(tests=0)
    for group in ("first", "second"):
        await save_group(group)
    [first] = await create(listed, group="first")
    assert first.outcome is Outcome.ACCEPTED
    assert held(simulator) == {listed: 1}, "it is sent as it was written"
    [adopted] = await create("Büro Intranet", group="second")
    [known] = await create("Büro Intranet", group="first")
    assert endings([adopted, known]) == [Outcome.SKIPPED] * 2
    assert adopted.test_id == known.test_id == first.test_id
    assert held(simulator) == {listed: 1}


async def test_a_doubt_is_known_by_the_name_that_is_shown(simulate: Simulate) -> None:
    simulator = simulate(tests=0, hide_instant_tests=True, creation_faults={"a b": LOST})
    await save_group("doubtful-name")
    await create("a b", group="doubtful-name")
    [again] = await create("a\u00a0b ", group="doubtful-name")
    assert (again.outcome, again.attempts) == (Outcome.UNKNOWN, 0)
    assert creations(simulator) == 1
    [told] = await create("a b", group="doubtful-name", create_again=[" a b"])
    assert told.outcome is Outcome.ACCEPTED
    assert (await group_of("doubtful-name")).creating == {}


async def test_a_listed_test_of_the_other_kind_is_another_test(simulate: Simulate) -> None:
    simulator = simulate(tests=["202701", "202702"])
    name = simulator.tests["202702"].name
    await save_group("other-kind")
    [record] = await create(name, group="other-kind")
    assert (record.outcome, held(simulator)[name]) == (Outcome.ACCEPTED, 2)


@hidden_or_listed
@pytest.mark.parametrize(
    ("fault", "applied"),
    [(503, 0), ("dropped_after", 1)],
)
async def test_after_a_lost_answer_a_test_is_not_created_again_without_being_told_to(
    simulate: Simulate, *, hidden: bool, fault: str | int, applied: int
) -> None:
    simulator = simulate(
        tests=0, hide_instant_tests=hidden, creation_faults={"a": Fault(replies=[fault])}
    )
    await save_group("doubtful")
    lost, after = await create("a", "b", group="doubtful")
    assert lost.outcome is (Outcome.SERVER_ERROR if fault == 503 else Outcome.UNKNOWN)
    assert (lost.attempts, after.outcome) == (1, Outcome.ACCEPTED)
    assert list((await group_of("doubtful")).creating) == ["a"]

    again, _ = await create("a", "b", group="doubtful")
    if applied and not hidden:
        assert (again.outcome, "adopted" in again.detail) == (Outcome.SKIPPED, True)
    else:
        assert (again.outcome, again.attempts) == (Outcome.UNKNOWN, 0)
        assert "create_again" in again.detail
    assert held(simulator)["a"] == applied

    told, _ = await create("a", "b", group="doubtful", create_again=["a"])
    if applied and not hidden:
        assert told.outcome is Outcome.SKIPPED
        assert held(simulator)["a"] == 1
    else:
        assert (told.outcome, told.maybe_duplicate) == (Outcome.ACCEPTED, True)
        assert held(simulator)["a"] == applied + 1
    assert (await group_of("doubtful")).creating == {}
    assert held(simulator)["b"] == 1


async def test_a_doubt_ends_when_a_person_gives_the_group_the_id(simulate: Simulate) -> None:
    simulator = simulate(tests=0, hide_instant_tests=True, creation_faults={"a": LOST})
    await save_group("mended")
    await create("a", group="mended")
    [test_id] = simulator.test_ids
    creating = (await group_of("mended")).creating
    await save_group("mended", test_ids=[test_id], names={test_id: "a"}, creating=creating)
    [record] = await create("a", group="mended", create_again=["a"])
    assert record.outcome is Outcome.SKIPPED
    assert held(simulator) == {"a": 1}


async def test_a_refused_creation_may_be_tried_by_the_next_run(simulate: Simulate) -> None:
    simulator = simulate(tests=0, creation_faults={"a": Fault(replies=[403])})
    await save_group("refused")
    assert endings(await create("a", "b", group="refused")) == [
        *(Outcome.FORBIDDEN, Outcome.ACCEPTED)
    ]
    assert (await group_of("refused")).creating == {}
    assert endings(await create("a", "b", group="refused")) == [Outcome.ACCEPTED, Outcome.SKIPPED]
    assert held(simulator) == {"a": 1, "b": 1}


async def test_a_refusal_after_a_doubt_leaves_the_doubt(simulate: Simulate) -> None:
    simulate(
        tests=0,
        hide_instant_tests=True,
        creation_faults={"a": Fault(replies=["dropped_after", 400])},
    )
    await save_group("still")
    await create("a", group="still")
    before = (await group_of("still")).creating
    [record] = await create("a", group="still", create_again=["a"])
    assert record.outcome is Outcome.INVALID
    assert (await group_of("still")).creating == before


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


class TestDefinitions:
    async def test_come_as_parameters_and_from_a_file(
        self, simulate: Simulate, tmp_path: Path
    ) -> None:
        simulator = simulate(tests=0)
        await save_group("both")
        await Secret(value="123456").save("thousandeyes-intranet", overwrite=True)
        file = tmp_path / "definitions.yaml"
        file.write_text(
            """
            - type: http-server
              testName: Intranet
              url: https://intranet.example.com
              auth_type: basic
              username: ada
              password_block: thousandeyes-intranet
            - type: agent-to-server
              test_name: Voice
              server: voice.example.com
              port: 5061
            """
        )
        parameters: Any = [{"type": "agent-to-server", "test_name": "Print", "server": "p"}]
        records = await create_endpoint_tests("both", parameters, str(file))
        assert [record.test_name for record in records] == ["Print", "Intranet", "Voice"]
        assert held(simulator) == {"Print": 1, "Intranet": 1, "Voice": 1}
        assert [test.kind for test in simulator.tests.values()] == [
            *("agent-to-server", "http-server", "agent-to-server")
        ]

    async def test_come_as_a_form_sends_them(self, simulate: Simulate) -> None:
        simulator = simulate(tests=0)
        await save_group("from-a-form")
        for written in (
            "- {type: agent-to-server, test_name: a, server: x}",
            "[{type: http-server, testName: b, url: y}]",
            "{type: agent-to-server, test_name: c, server: x}",
            {"type": "agent-to-server", "test_name": "d", "server": "x"},
        ):
            await create_endpoint_tests("from-a-form", written)  # type: ignore[arg-type]
        assert held(simulator) == {"a": 1, "b": 1, "c": 1, "d": 1}

    @pytest.mark.parametrize(
        ("text", "reason"),
        [
            ("- {type: agent-to-server, test_name: x}", "^tests: test 1 'x', server: Field"),
            ("{type: http-server, test_name: x, url: y, portt: 1}", "portt: Extra inputs"),
            ("{type: http-server, test_name: x, port: 1", "tests, line 1, column 42: expected"),
            ("just words", "tests: Input should be a valid list"),
            ("", "no definitions given"),
            ("{type: http-server, test_name: x, url: y, password: s3cret}", "password: Extra"),
            ("[&a [s3cret], *a]", "line 1, column 15: aliases"),
            (
                """- type: agent-to-server
  test_name: a
  server: x
  type: agent-to-server
  test_name: b
  server: y""",
                r"tests, line 4, column 3: a key appears twice, first on line 1: type\.",
            ),
        ],
    )
    async def test_in_a_text_that_are_wrong_are_told_by_field_or_line(
        self, text: str, reason: str
    ) -> None:
        with pytest.raises(InvalidDefinitions, match=reason) as refused:
            await create_endpoint_tests.fn("any", text)
        assert "s3cret" not in str(refused.value)

    @pytest.mark.parametrize(
        ("text", "reason"),
        [
            ("- type: agent-to-server\n  server: x", ": test 1, test_name: Field required"),
            (
                """[{type: http-server, test_name: x, url: y},
                {type: agent-to-server, testName: Voice gateway, sever: z}]""",
                "test 2 'Voice gateway', server: Field .*; test 2 'Voice gateway', sever: Extra",
            ),
            (
                "- {type: http-server, test_name: x, url: y, s3cret: z}",
                r": test 1 'x', \?: Extra inputs",
            ),
            ("- {test_name: x, url: y}", ": test 1 'x': 'type' is missing"),
            ("- type: page-load\n  test_name: x", "test 1 'x': 'type' must be one of 'agent"),
            ("test_name: x", "valid list"),
            ("[", r"line 1, column 2: expected the node content"),
            ("", "valid list"),
            (
                "- {type: http-server, test_name: x, url: y, auth_type: basic, username: z}",
                "needs password_block",
            ),
            (
                """- {type: http-server, test_name: x, url: y,
                auth_type: basic, username: z, password_block: ' '}""",
                "needs password_block",
            ),
            (
                "- {type: http-server, test_name: x, url: y, authType: ntlm, password: s3cret}",
                "password: Extra inputs",
            ),
            (
                """[{type: http-server, test_name: x, url: y},
                {type: http-server, test_name: ' x', url: y}]""",
                "more than one definition has the name 'x'",
            ),
            (
                "[&test {type: agent-to-server, test_name: x, server: y},\n {<<: *test}]",
                r"line 2, column 7: aliases, such as \*name, can't be used here",
            ),
            ('- {type: http-server, test_name: " \\u200b", url: y}', "that can be seen"),
        ],
    )
    async def test_that_can_not_be_right_are_refused_before_anything_is_sent(
        self, simulate: Simulate, tmp_path: Path, text: str, reason: str
    ) -> None:
        simulator = simulate(tests=0)
        file = tmp_path / "definitions.yaml"
        file.write_text(text)
        with pytest.raises(InvalidDefinitions, match=reason) as refused:
            await create_endpoint_tests.fn("any", file=str(file))
        assert "s3cret" not in str(refused.value)
        assert simulator.calls == []

    async def test_of_which_very_many_are_wrong_are_told_in_a_message_of_bounded_length(
        self,
    ) -> None:
        good = "- {type: agent-to-server, test_name: %s, server: x}\n"
        for text in (
            "- 765231567\n" * 20_000,
            "".join(good % name for name in range(900)) * 2,
            "".join(good % name for name in range(2_001)),
            f"- {{type: agent-to-server, test_name: x, server: y, {'z' * 500_000}: 1}}",
        ):
            with pytest.raises(InvalidDefinitions) as refused:
                await create_endpoint_tests.fn("any", text)
            assert len(str(refused.value)) < 4_000
            assert str(refused.value).endswith("Nothing was sent.")

    async def test_are_needed_and_so_are_their_group_and_secrets(self, simulate: Simulate) -> None:
        simulator = simulate(tests=0)
        with pytest.raises(InvalidDefinitions, match="no definitions"):
            await create_endpoint_tests("new")
        with pytest.raises(InvalidDefinitions, match="no definition has the name 'b'"):
            await create("a", create_again=["a", "b"])
        with pytest.raises(SettingsError, match="no Endpoint Test Group block named 'nobodys'"):
            await create("a", group="nobodys")
        await save_group("secretive")
        await Secret(value={"not": "a text"}).save("thousandeyes-no-text", overwrite=True)
        for block in ("thousandeyes-no-secret", "thousandeyes-no-text"):
            definition: Any = {
                "type": "http-server",
                "test_name": "x",
                "url": "y",
                "auth_type": "basic",
                "username": "z",
                "password_block": block,
            }
            with pytest.raises(SettingsError, match=f"{block}.*needs it"):
                await create_endpoint_tests("secretive", [definition])
        assert simulator.calls == []


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
