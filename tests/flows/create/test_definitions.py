"""The definitions that a creation is given: where they come from, and which are refused."""

from pathlib import Path
from typing import Any

import pytest
from prefect.blocks.system import Secret

from flows.create import create_endpoint_tests
from flows.create.definitions import as_definitions
from tests.flows.create.scene import create, held, save_group
from tests.flows.scene import Simulate
from thousandeyes.errors import InvalidDefinitions, SettingsError


async def test_definitions_come_as_parameters_and_from_a_file(
    simulate: Simulate, tmp_path: Path
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


def test_definitions_come_as_a_form_sends_them() -> None:
    for name, written in {
        "a": "- {type: agent-to-server, test_name: a, server: x}",
        "b": "[{type: http-server, testName: b, url: y}]",
        "c": "{type: agent-to-server, test_name: c, server: x}",
        "d": {"type": "agent-to-server", "test_name": "d", "server": "x"},
    }.items():
        # As a run gets them from Prefect, and then reads them.
        given = create_endpoint_tests.validate_parameters({"group": "any", "tests": written})
        assert [one.test_name for one in as_definitions(given["tests"])] == [name]


async def test_definitions_of_a_form_are_created(simulate: Simulate) -> None:
    simulator = simulate(tests=0)
    await save_group("from-a-form")
    written: Any = "- {type: agent-to-server, test_name: a, server: x}"
    await create_endpoint_tests("from-a-form", written)
    assert held(simulator) == {"a": 1}


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
async def test_definitions_in_a_text_that_are_wrong_are_told_by_field_or_line(
    text: str, reason: str
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
async def test_definitions_that_can_not_be_right_are_refused_before_anything_is_sent(
    simulate: Simulate, tmp_path: Path, text: str, reason: str
) -> None:
    simulator = simulate(tests=0)
    file = tmp_path / "definitions.yaml"
    file.write_text(text)
    with pytest.raises(InvalidDefinitions, match=reason) as refused:
        await create_endpoint_tests.fn("any", file=str(file))
    assert "s3cret" not in str(refused.value)
    assert simulator.calls == []


async def test_where_files_are_read_is_said_only_of_one_that_was_not_read(tmp_path: Path) -> None:
    said: dict[str, str] = {}
    for name in ("missing.yaml", "twice.yaml"):
        (tmp_path / "twice.yaml").write_text("- url: x\n  url: y")
        with pytest.raises(InvalidDefinitions) as refused:
            await create_endpoint_tests.fn("any", file=str(tmp_path / name))
        said[name] = str(refused.value)
    assert said["missing.yaml"].endswith("in the folder that TE_FILES_DIR names. Nothing was sent.")
    assert said["twice.yaml"].endswith(
        "a key appears twice, first on line 1: url. Nothing was sent."
    )


async def test_definitions_of_which_very_many_are_wrong_are_told_in_a_message_that_ends() -> None:
    good: dict[str, Any] = {"type": "agent-to-server", "server": "x"}
    numbered = [good | {"test_name": str(number)} for number in range(2_001)]
    very_many: list[Any] = [
        "- 765231567\n" * 2_000,
        numbered[:900] * 2,
        numbered,
        [good | {"test_name": "x", "z" * 500_000: 1}],
    ]
    for given in very_many:
        with pytest.raises(InvalidDefinitions) as refused:
            await create_endpoint_tests.fn("any", given)
        assert len(str(refused.value)) < 4_000
        assert str(refused.value).endswith("Nothing was sent.")


async def test_definitions_are_needed_and_so_are_their_group_and_secrets(
    simulate: Simulate,
) -> None:
    simulator = simulate(tests=0)
    with pytest.raises(InvalidDefinitions, match="no definitions"):
        await create_endpoint_tests("new")
    with pytest.raises(InvalidDefinitions, match="no definition has the name 'b'"):
        await create("a", group="new", create_again=["a", "b"])
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
