"""What Prefect's forms show of a flow's parameters, and what they refuse before scheduling."""

from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prefect import get_client
from prefect.client.schemas.objects import FlowRun
from prefect.exceptions import PrefectHTTPStatusError
from prefect.utilities.schema_tools.validation import is_valid_schema

from deployments.form import defaults, other_than
from deployments.project import Deployment, problems, read_deployments
from flows.rerun import RerunOptions, rerun_endpoint_tests
from flows.rerun.options import USUAL
from tests.thousandeyes.steady import steady
from thousandeyes.outcomes import Outcome, VerdictName

DEPLOYMENTS = {one.name: one for one in read_deployments()}
FORM = DEPLOYMENTS["on-demand"].form
ALL = FORM["definitions"]["RerunOptions"]["properties"]

NOTHING_NAMED = r"'test_ids or groups \(or an option: only_failed_of, .*\)' is a required property"

every_deployment = pytest.mark.parametrize("one", DEPLOYMENTS.values(), ids=[*DEPLOYMENTS])


@pytest.fixture
async def deployment(prefect_server: None) -> AsyncIterator[UUID]:  # noqa: ARG001
    async with get_client() as client:
        flow_id = await client.create_flow(rerun_endpoint_tests)
        deployment_id = await client.create_deployment(
            flow_id,
            name="form",
            entrypoint="flows.rerun.rerun_endpoint_tests",
            parameter_openapi_schema=FORM,
            enforce_parameter_schema=True,
        )
        yield deployment_id
        await client.delete_deployment(deployment_id)


async def submit(deployment_id: UUID, **parameters: Any) -> FlowRun:
    """Ask for a run as the form does."""
    async with get_client() as client:
        return await client.create_flow_run_from_deployment(deployment_id, parameters=parameters)


def test_the_form_asks_for_tests_first_and_then_for_what_is_usual() -> None:
    assert [*FORM["properties"]] == ["test_ids", "groups", "credentials", "options"]
    assert [*FORM["definitions"]["Usual"]["properties"]] == USUAL
    assert [*ALL] == [*RerunOptions.model_fields]
    assert [*ALL][: len(USUAL)] == USUAL
    assert "required" not in FORM or not FORM["required"]


@every_deployment
def test_every_field_has_a_title_and_is_described(one: Deployment) -> None:
    kinds = one.form.get("definitions", {})
    options = [kind for kind in kinds.values() if kind["title"] in ("Usual", "All")]
    for holder in (one.form, *options):
        for field in holder["properties"].values():
            shown = kinds.get(field.get("$ref", "").removeprefix("#/definitions/"), {}) | field
            assert shown["title"]
            assert shown["description"].endswith(".")


@every_deployment
def test_a_field_that_may_stay_empty_is_an_empty_field_and_no_choice_of_none(
    one: Deployment,
) -> None:
    form = one.form
    for holder in (form, *form.get("definitions", {}).values()):
        for name, field in holder.get("properties", {}).items():
            assert field.get("default", "") is not None, name
            if {"type": "null"} in field.get("anyOf", []) and "default" not in field:
                assert any("enum" in kind or "$ref" in kind for kind in field["anyOf"]), name


@every_deployment
def test_what_a_form_fills_in_is_what_the_flow_does_without(one: Deployment) -> None:
    is_valid_schema(one.form)
    filled_in = defaults(one.form)
    assert problems(filled_in, one.form) == []
    assert other_than(filled_in, filled_in) == {}
    required = one.form.get("required", [])
    if not required:
        one.flow.validate_parameters(filled_in)


OPTIONS: dict[str, st.SearchStrategy[object]] = {
    "wait_for_results": st.booleans(),
    "thresholds": st.none() | st.fixed_dictionaries({}, optional={"min_agents": st.integers(1, 9)}),
    "only_failed_of": st.none() | st.text(min_size=1, max_size=9),
    "fail_on": st.lists(st.sampled_from(["failed", "unknown", "new_failure"]), max_size=2),
    "deadline_minutes": st.none() | st.floats(0.1, 99),
    "delivery": st.sampled_from(["at_least_once", "at_most_once"]),
}


@steady(50)
@given(st.fixed_dictionaries({}, optional=OPTIONS))
def test_any_options_that_the_flow_takes_the_form_takes_and_what_is_chosen_is_kept(
    options: dict[str, Any],
) -> None:
    given_ = {"options": options}
    # That is found only where the form takes them.
    assert all("no effect in a run that does not wait" in one for one in problems(given_, FORM))
    chosen = other_than(given_, defaults(FORM))
    assert RerunOptions(**chosen.get("options", {})) == RerunOptions(**options)


def test_what_is_one_of_a_few_is_offered_as_a_choice() -> None:
    assert ALL["delivery"]["$ref"] == "#/definitions/Delivery"
    assert "enum" in FORM["definitions"]["Delivery"]
    assert ALL["fail_on"]["items"]["enum"] == [*Outcome, *VerdictName, "new_failure"]


@pytest.mark.parametrize(
    "parameters",
    [
        {"test_ids": ["765231567"]},
        {"test_ids": [765231567, "765231568"]},  # as a program or `-p 'test_ids=[…]'` has them
        {"test_ids": 765231567},  # as `-p test_ids=…` has it
        {"test_ids": ["765231567, 765231568\n765231569", "", " "]},
        {"test_ids": ["\ufeff'765231567';\r\n\"765231568\"\t# Büro, 3/4!\r\n[765231569]"]},
        {"test_ids": "765231567, 765231568\n765231569", "groups": "morning-checks, evening"},
        {"groups": ["morning-checks", "a, b", "['a', \"b\"] # Berlin"]},
        {"options": {"only_failed_of": "rerun-endpoint-tests/scheduled"}},
        {"options": {"name_pattern": "Payroll*"}},
        {"test_ids": [], "options": {"name_pattern": "Payroll*"}},
        {"test_ids": [], "groups": ["morning-checks"]},
        {"options": {"test_ids_file": "ids.txt"}},
        {"groups": None, "credentials": {"$ref": "6f2c4b9e-6a0b-4f5e-8f0c-3f1d2c4b5a69"}},
        {"test_ids": ["1"], "credentials": "production"},
        {"test_ids": ["1"], "credentials": None, "options": {"delivery": "at_most_once"}},
    ],
)
async def test_what_people_fill_in_is_taken(deployment: UUID, parameters: dict[str, Any]) -> None:
    run = await submit(deployment, **parameters)
    assert run.parameters == parameters


@pytest.mark.parametrize(
    ("parameters", "told"),
    [
        ({"test_ids": ["1", "20/2701"]}, r"test_ids\[1\].*20/2701.* does not match"),
        ({"test_ids": "20/2701"}, "test_ids.*'20/2701.* does not match"),
        ({"test_ids": 202701.5}, "'test_ids'.*202701.5 is not "),
        ({"test_ids": True}, "'test_ids'.*True is not "),
        ({"test_ids": [True]}, r"test_ids\[0\].*True is not of type 'string'"),
        ({"test_ids": [1, 765231567.5]}, r"test_ids.* is not "),
        ({"groups": ["Morning Checks"]}, r"groups\[0\].*Morning Checks.* does not match"),
        ({"groups": "Morning Checks"}, "groups.*Morning Checks.* does not match"),
        ({"groups": {"name": "morning-checks"}}, "'groups'.*'\\$ref' is a required property"),
        ({}, NOTHING_NAMED),
        ({"test_ids": []}, NOTHING_NAMED),
        ({"test_ids": [], "groups": []}, NOTHING_NAMED),
        ({"options": {"wait_for_results": True}}, NOTHING_NAMED),
        ({"options": {"only_failed_off": "x"}}, NOTHING_NAMED),
        ({"groups": "a", "credentials": "Production"}, "credentials.*Production.* does not match"),
        (
            {"groups": "a", "options": {"delivery": "twice"}},
            "'options.delivery'.*'twice' is not one of",
        ),
        (
            {"groups": "a", "options": {"max_in_flight": 0}},
            "'options.max_in_flight'.*0 is less than the minimum",
        ),
        ({"groups": "a", "options": {"retries": 3}}, "'options'.*'retries' was unexpected"),
    ],
)
async def test_what_can_not_be_right_is_refused_before_anything_is_scheduled(
    deployment: UUID, parameters: dict[str, Any], told: str
) -> None:
    with pytest.raises(PrefectHTTPStatusError, match=told):
        await submit(deployment, **parameters)
