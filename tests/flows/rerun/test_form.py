"""What Prefect's form makes of the flow's parameters, and what it refuses before scheduling."""

from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

import pytest
from prefect import get_client
from prefect.client.schemas.objects import FlowRun
from prefect.exceptions import PrefectHTTPStatusError

from flows.rerun import RerunOptions, rerun_endpoint_tests
from thousandeyes.outcomes import Outcome, VerdictName

SCHEMA = rerun_endpoint_tests.parameters


@pytest.fixture
async def deployment() -> AsyncIterator[UUID]:
    async with get_client() as client:
        flow_id = await client.create_flow(rerun_endpoint_tests)
        deployment_id = await client.create_deployment(
            flow_id,
            name="form",
            entrypoint="flows.rerun.rerun_endpoint_tests",
            parameter_openapi_schema=SCHEMA.model_dump_for_openapi(),
            enforce_parameter_schema=True,
        )
        yield deployment_id
        await client.delete_deployment(deployment_id)


async def submit(deployment_id: UUID, **parameters: Any) -> FlowRun:
    """Ask for a run as the form does."""
    async with get_client() as client:
        return await client.create_flow_run_from_deployment(deployment_id, parameters=parameters)


def test_every_field_is_described_and_none_is_required() -> None:
    options = SCHEMA.definitions["RerunOptions"]["properties"]
    assert list(SCHEMA.properties) == ["test_ids", "groups", "credentials", "options"]
    assert set(options) == set(RerunOptions.model_fields)
    for field in (*SCHEMA.properties.values(), *options.values()):
        assert field["description"].endswith(".")
        assert "default" in field
    assert SCHEMA.required == []


def test_what_is_one_of_a_few_is_offered_as_a_choice() -> None:
    options = SCHEMA.definitions["RerunOptions"]["properties"]
    assert options["delivery"]["$ref"] == "#/definitions/Delivery"
    assert "enum" in SCHEMA.definitions["Delivery"]
    assert options["fail_on"]["items"]["enum"] == [*Outcome, *VerdictName, "new_failure"]


@pytest.mark.parametrize(
    "parameters",
    [
        {"test_ids": ["765231567"]},
        {"test_ids": [765231567, "765231568"]},  # as a program or `-p 'test_ids=[…]'` has them
        {"test_ids": ["765231567, 765231568\n765231569", "", " "]},
        {"test_ids": ["\ufeff'765231567';\r\n\"765231568\"\t# Büro, 3/4!\r\n[765231569]"]},
        {"groups": ["morning-checks", "a, b", "['a', \"b\"] # Berlin"]},
        {"test_ids": ["1"], "credentials": "production"},
        {"test_ids": ["1"], "credentials": None, "options": {"delivery": "at_most_once"}},
    ],
)
async def test_what_people_fill_in_is_taken(deployment: UUID, parameters: dict[str, Any]) -> None:
    run = await submit(deployment, **parameters)
    assert run.parameters == parameters
    rerun_endpoint_tests.validate_parameters(parameters)


@pytest.mark.parametrize(
    ("parameters", "told"),
    [
        ({"test_ids": ["1", "20/2701"]}, r"test_ids\[1\].*20/2701.* does not match"),
        ({"test_ids": "1"}, "'test_ids'.*'1' is not "),
        ({"test_ids": [True]}, r"test_ids\[0\].*True is not of type 'string'"),
        ({"test_ids": [1, 765231567.5]}, r"test_ids.* is not "),
        ({"groups": ["Morning Checks"]}, r"groups\[0\].*Morning Checks.* does not match"),
        ({"options": {"delivery": "twice"}}, "'options.delivery'.*'twice' is not one of"),
        ({"options": {"max_in_flight": 0}}, "'options.max_in_flight'.*0 is less than the minimum"),
        ({"options": {"retries": 3}}, "'options'.*'retries' was unexpected"),
    ],
)
async def test_what_can_not_be_right_is_refused_before_anything_is_scheduled(
    deployment: UUID, parameters: dict[str, Any], told: str
) -> None:
    with pytest.raises(PrefectHTTPStatusError, match=told):
        await submit(deployment, **parameters)
