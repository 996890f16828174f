import math

import pytest
from prefect.utilities.callables import parameter_schema
from pydantic import ValidationError

from flows.rerun import RerunOptions, rerun_endpoint_tests
from thousandeyes.delivery import Delivery
from thousandeyes.errors import SettingsError
from thousandeyes.outcomes import GOOD, Outcome, VerdictName
from thousandeyes.thresholds import Thresholds

SCHEMA = RerunOptions.model_json_schema()


@pytest.mark.parametrize("name", RerunOptions.model_fields)
def test_every_field_is_described_in_sentences(name: str) -> None:
    description = SCHEMA["properties"][name]["description"]
    assert description[0].isupper()
    assert description.endswith(".")


@pytest.mark.parametrize("name", RerunOptions.model_fields)
def test_every_field_shows_its_default_in_the_form(name: str) -> None:
    assert "default" in SCHEMA["properties"][name]


def test_closed_sets_are_choices() -> None:
    assert SCHEMA["$defs"]["Delivery"]["enum"] == list(Delivery)
    assert SCHEMA["properties"]["fail_on"]["items"] == {
        "type": "string",
        "enum": [*Outcome, *VerdictName, "new_failure"],
    }


def test_prefects_form_has_every_parameter_described() -> None:
    parameters = parameter_schema(rerun_endpoint_tests.fn).properties
    assert all(one["description"].endswith(".") for one in parameters.values())
    assert parameters["options"]["default"] == RerunOptions().model_dump(mode="json")


def test_by_default_everything_fails_a_run_but_what_needs_nobodys_attention() -> None:
    assert {*Outcome, *VerdictName} - set(RerunOptions().fail_on) == GOOD


def test_one_runs_list_is_not_anothers() -> None:
    RerunOptions().fail_on.clear()
    assert RerunOptions().fail_on


@pytest.mark.parametrize(
    "wrong",
    [
        {"max_in_flight": 0},
        {"max_in_flight": 201},
        {"deadline_minutes": 0},
        {"deadline_minutes": -1},
        {"deadline_minutes": math.inf},
        {"deadline_minutes": math.nan},
        {"fail_on": ["broken"]},
        {"results_deadline_minutes": 0},
        {"results_deadline_minutes": math.inf},
        {"results_deadline_minutes": 1e308},
        {"skip_if_run_within_minutes": 1e11},
        {"deadline_minutes": 366 * 24 * 60},
        {"expected_agents": 0},
        {"paths_of_failing_agents": -1},
        {"paths_of_failing_agents": 11},
        {"thresholds": {"max_lost": 1}},
        {"delivery": "exactly_once"},
        {"retries": 3},
    ],
    ids=str,
)
def test_what_makes_no_sense_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        RerunOptions.model_validate(wrong)


def test_without_thresholds_the_usual_ones_hold() -> None:
    """Prefect's form sends null for what was cleared."""
    assert RerunOptions.model_validate({"thresholds": None}).thresholds == Thresholds()


FOR_RESULTS: list[dict[str, object]] = [
    {"thresholds": {"max_loss_percent": 1}},
    {"paths_of_failing_agents": 2},
    {"expected_agents": 3},
    {"fail_on": ["failed", "no_data"]},
]


@pytest.mark.parametrize("chosen", FOR_RESULTS, ids=str)
def test_what_is_for_results_is_refused_where_none_are_awaited(chosen: dict[str, object]) -> None:
    [name] = chosen
    with pytest.raises(SettingsError, match=rf"^{name}: no effect .* Nothing was sent\.$"):
        RerunOptions.model_validate(chosen).check_results_are_awaited()
    RerunOptions.model_validate(chosen | {"wait_for_results": True}).check_results_are_awaited()


@pytest.mark.parametrize(
    "chosen",
    [
        RerunOptions().model_dump(),  # as a form sends it
        {"thresholds": None, "results_deadline_minutes": 3},
        {"expected_agents": 3, "delivery": "at_most_once"},
        {"fail_on": []},
        {"fail_on": ["failed", "unknown"]},
        {"fail_on": ["new_failure"]},
    ],
    ids=str,
)
def test_what_has_an_effect_all_the_same_is_taken(chosen: dict[str, object]) -> None:
    RerunOptions.model_validate(chosen).check_results_are_awaited()
