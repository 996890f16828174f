"""A test's password appears nowhere: in no log, artifact, parameter or database."""

import json
import logging
import sqlite3
import traceback
from contextlib import closing
from typing import Any

import pytest
from prefect import get_client
from prefect.blocks.system import Secret
from prefect.client.schemas.actions import BlockDocumentUpdate
from prefect.exceptions import PrefectHTTPStatusError
from prefect.settings import get_current_settings

from flows.create import CreateOptions, create_endpoint_tests
from flows.create.definitions import HttpServerDefinition, with_password
from tests.deployments.test_form import submit
from tests.flows.create.scene import CREATIONS, group_of, save_group, voice
from tests.flows.rerun.test_secrecy import forms
from tests.flows.scene import Simulate, artifacts_of
from thousandeyes.errors import InvalidDefinitions, SettingsError
from thousandeyes.outcomes import Outcome
from thousandeyes.simulator import Fault

PASSWORD = "pa$$+w0rd/\"of&the<test>'\\="


def definition(name: str, block: str = "thousandeyes-test") -> HttpServerDefinition:
    return HttpServerDefinition(
        test_name=name,
        url="https://intranet.example.com",
        auth_type="basic",
        username="ada",
        password_block=block,
    )


def database() -> bytes:
    """Return what the Prefect server has stored, as it stands in its file."""
    url = get_current_settings().server.database.connection_url
    assert url
    path = url.get_secret_value().partition(":///")[2]
    with closing(sqlite3.connect(path)) as connection:
        return "\n".join(connection.iterdump()).encode("utf-8", "surrogatepass")


async def test_a_password_is_in_no_log_no_artifact_no_parameter_and_no_database(
    simulate: Simulate, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("thousandeyes.replies.LONGEST_PROBLEM", 5_000)  # all that is echoed
    faults = {
        "echoed": Fault(replies=["echo"]),
        "lost": Fault(replies=["half_body"]),
        "broken": Fault(replies=[500]),
    }
    simulator = simulate(tests=0, creation_faults=faults)
    await Secret(value=PASSWORD).save("thousandeyes-test", overwrite=True)
    await save_group("secret")
    caplog.set_level(logging.DEBUG)
    await create_endpoint_tests(
        "secret",
        [definition(name) for name in [*faults, "well"]],
        options=CreateOptions(fail_on=[]),
    )
    assert [test.name for test in simulator.tests.values()] == ["lost", "well"]
    [flow_run_id] = set((await group_of("secret")).creating.values())
    async with get_client() as client:
        parameters = (await client.read_flow_run(flow_run_id)).parameters  # type: ignore[arg-type]
    artifacts = await artifacts_of(flow_run_id)  # type: ignore[arg-type]
    found = {
        "parameters": json.dumps(parameters).encode(),
        "artifacts": "".join(str(artifact) for artifact in artifacts.values()).encode(),
        "logs": caplog.text.encode() + "".join(f"{vars(r)}" for r in caplog.records).encode(),
        "database": database(),
    }
    assert not {(name, form) for name in found for form in forms(PASSWORD) if form in found[name]}
    # Else the search would prove nothing.
    assert '"password":"***"' in str(artifacts[CREATIONS[1]].data).replace("\\", "")
    assert "thousandeyes-test" in json.dumps(parameters)
    assert b"echoed" in found["database"]


async def test_no_other_secret_of_the_server_is_sent_with_a_test(
    simulate: Simulate, monkeypatch: pytest.MonkeyPatch
) -> None:
    simulator = simulate(tests=0)
    await Secret(value=PASSWORD).save("payroll-database", overwrite=True)
    await save_group("curious")
    curious = definition("x", "payroll-database")
    with pytest.raises(SettingsError, match=r"only those whose names begin with 'thousandeyes-'"):
        await create_endpoint_tests("curious", [curious])
    assert simulator.calls == []
    monkeypatch.setenv("TE_PASSWORD_BLOCK_PREFIX", "payroll-")
    [record] = await create_endpoint_tests("curious", [curious])
    assert record.outcome is Outcome.ACCEPTED


async def test_a_name_that_leads_elsewhere_in_an_address_is_no_password_block(
    simulate: Simulate,
) -> None:
    simulator = simulate(tests=0)
    await Secret(value=PASSWORD).save("payroll-other", overwrite=True)
    await save_group("elsewhere")
    missing = "there is no Secret block named 'thousandeyes-"
    secret, *others = (
        "/../payroll-other",
        "/../../../../endpoint-test-group/block_documents/name/elsewhere",
        *("?", "\0", "x" * 70_000),
    )
    with pytest.raises(SettingsError, match=missing):
        await create_endpoint_tests("elsewhere", [definition("x", f"thousandeyes-{secret}")])
    assert simulator.calls == []
    for escape in others:
        with pytest.raises(SettingsError, match=missing):
            await with_password(definition("x", f"thousandeyes-{escape}"), "thousandeyes-")


async def test_a_password_is_waited_for_while_the_prefect_server_is_away(
    simulate: Simulate, read_twice: set[str]
) -> None:
    simulate(tests=0)
    await Secret(value=PASSWORD).save("thousandeyes-test", overwrite=True)
    await save_group("patient")
    [record] = await create_endpoint_tests("patient", [definition("x")])
    assert record.outcome is Outcome.ACCEPTED
    assert any("thousandeyes-test" in call for call in read_twice)


async def test_nothing_of_a_block_that_can_not_be_read_is_repeated(simulate: Simulate) -> None:
    simulate(tests=0)
    await Secret(value=PASSWORD).save("thousandeyes-spoilt", overwrite=True)
    async with get_client() as client:
        document = await client.read_block_document_by_name("thousandeyes-spoilt", "secret")
        spoilt = BlockDocumentUpdate(
            block_schema_id=document.block_schema_id,
            data={"valu": PASSWORD},
            merge_existing_data=False,
        )
        await client.update_block_document(document.id, spoilt)
    await save_group("misled")
    with pytest.raises(SettingsError, match="thousandeyes-spoilt") as refused:
        await create_endpoint_tests("misled", [definition("x", "thousandeyes-spoilt")])
    assert "valu" not in "".join(traceback.format_exception(refused.value))


async def test_a_token_in_place_of_a_file_or_a_name_is_refused_and_not_repeated(
    simulate: Simulate, monkeypatch: pytest.MonkeyPatch
) -> None:
    simulator = simulate(tests=0)
    await save_group("pasted")
    token = "99887766-5544-3322-1100-aabbccddeeff"
    monkeypatch.setenv("TE_TOKEN", token)
    for tests, file in ((voice(), token), (definition(f"TE_TOKEN={token}"), None)):
        with pytest.raises(SettingsError, match=r"^1 of the names of .* revoke it") as refused:
            await create_endpoint_tests("pasted", tests, file)
        assert token not in str(refused.value)
    assert simulator.calls == []


async def test_a_password_in_a_parameter_is_refused_and_not_repeated(
    simulate: Simulate, caplog: pytest.LogCaptureFixture
) -> None:
    simulator = simulate(tests=0)
    fields: Any = definition("x").model_dump(exclude={"password_block"}) | {"password": PASSWORD}
    for tests in (fields, [fields]):
        with pytest.raises(InvalidDefinitions, match=r"password: Extra inputs") as refused:
            await create_endpoint_tests("any", tests)
        assert PASSWORD not in str(refused.value)
    assert not [form for form in forms(PASSWORD) if form in caplog.text.encode()]
    assert simulator.calls == []


async def test_a_deployment_takes_definitions_and_refuses_a_password_before_it_is_stored() -> None:
    tests = [voice().model_dump(mode="json"), definition("x").model_dump(mode="json")]
    with_password = {**tests[1], "password": PASSWORD}
    async with get_client() as client:
        deployment_id = await client.create_deployment(
            await client.create_flow(create_endpoint_tests),
            name="create",
            entrypoint="flows.create.create_endpoint_tests",
            parameter_openapi_schema=create_endpoint_tests.parameters.model_dump_for_openapi(),
            enforce_parameter_schema=True,
        )
        taken = await submit(deployment_id, group="any", tests=tests, file=None)
        assert taken.parameters["tests"] == tests
        with pytest.raises(PrefectHTTPStatusError):
            await submit(deployment_id, group="any", tests=[with_password])
        await client.delete_deployment(deployment_id)
    assert not [form for form in forms(PASSWORD) if form in database()]


def test_every_parameter_is_described_for_who_fills_in_the_form() -> None:
    schema = create_endpoint_tests.parameters
    kinds = [schema.definitions[kind] for kind in ("AgentToServerTest", "HttpServerDefinition")]
    for fields in (schema.properties, *(kind["properties"] for kind in kinds)):
        assert [name for name, field in fields.items() if not field.get("description")] in (
            [],
            ["type"],
        )
