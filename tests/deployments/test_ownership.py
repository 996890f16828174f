"""What people set in Prefect's UI is told and left; what the files own is mended."""

from copy import deepcopy
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prefect.client.schemas.objects import (
    ConcurrencyOptions,
    DeploymentSchedule,
    GlobalConcurrencyLimit,
)
from prefect.client.schemas.responses import DeploymentResponse
from prefect.client.schemas.schedules import CronSchedule, IntervalSchedule
from prefect.events.actions import DoNothing
from prefect.events.schemas.automations import Automation, AutomationCore

from deployments.automations import _as_prefect_has_it, _references, read_automations
from deployments.form import defaults
from deployments.ownership import NOT_THERE, Plan, automation_differences, mended, renamed
from deployments.project import read_deployments
from tests.thousandeyes.steady import steady

SCHEDULED, ON_DEMAND = read_deployments()[:2]
[SCHEDULE] = SCHEDULED.schedules
ID = uuid4()


def schedule(**changes: Any) -> DeploymentSchedule:
    made: dict[str, Any] = {
        "slug": SCHEDULE.slug,
        "schedule": SCHEDULE.time,
        "active": SCHEDULE.active,
    }
    return DeploymentSchedule(**made | changes)


def limit(name: str, slots: int) -> GlobalConcurrencyLimit:
    return GlobalConcurrencyLimit(name=name, limit=slots)


def on_a_server(**changes: Any) -> DeploymentResponse:
    """Return the deployment `scheduled` as a server has it once it was made, and then changed."""
    made: dict[str, Any] = {
        "id": ID,
        "flow_id": uuid4(),
        "name": SCHEDULED.name,
        "description": SCHEDULED.description,
        "tags": SCHEDULED.tags,
        "entrypoint": SCHEDULED.entrypoint,
        "parameter_openapi_schema": SCHEDULED.form,
        "enforce_parameter_schema": True,
        "work_pool_name": SCHEDULED.work_pool.name,
        "job_variables": {},
        "pull_steps": [],
        "paused": False,
        "parameters": SCHEDULED.parameters,
        "global_concurrency_limit": limit(f"deployment:{ID}", 1),
        "concurrency_options": ConcurrencyOptions(collision_strategy="CANCEL_NEW"),
        "schedules": [schedule()],
    }
    return DeploymentResponse.model_construct(**made | changes)


def form_without(option: str) -> dict[str, Any]:
    form = deepcopy(SCHEDULED.form)
    del form["definitions"]["RerunOptions"]["properties"][option]
    return form


def form_with(option: str, default: object) -> dict[str, Any]:
    """Return the form of another version of the flow, which had one option more."""
    form = deepcopy(SCHEDULED.form)
    form["definitions"]["RerunOptions"]["properties"][option] = {"default": default}
    return form


WHAT_PEOPLE_SET: dict[str, tuple[Any, list[str]]] = {
    "tags": (["mine"], ["tags"]),
    "description": ("Mine.", ["description"]),
    "paused": (True, ["paused"]),
    "job_variables": ({"env": {"TE_AID": "1"}}, ["job_variables"]),
    "parameters": ({"groups": ["mine"]}, ["parameters"]),
    "concurrency_options": (
        ConcurrencyOptions(collision_strategy="ENQUEUE"),
        ["concurrency_options"],
    ),
    "global_concurrency_limit": (None, ["concurrency_limit"]),
    "schedules": ([schedule(active=True)], ["schedule weekdays-at-10 active"]),
}
WHAT_THE_FILE_OWNS: dict[str, Any] = {
    "entrypoint": "flows.elsewhere.flow",
    "parameter_openapi_schema": form_without("dry_run"),
    "enforce_parameter_schema": False,
    "work_pool_name": "another",
    "pull_steps": [{"prefect.deployments.steps.set_working_directory": {"directory": "/"}}],
}


@steady(50)
@given(
    st.sets(st.sampled_from([*WHAT_PEOPLE_SET])), st.sets(st.sampled_from([*WHAT_THE_FILE_OWNS]))
)
def test_what_people_set_is_left_and_what_the_file_owns_is_mended(
    set_by_people: set[str], broken: set[str]
) -> None:
    there = on_a_server(
        **{field: WHAT_PEOPLE_SET[field][0] for field in set_by_people},
        **{field: WHAT_THE_FILE_OWNS[field] for field in broken},
    )
    words = {word for field in set_by_people for word in WHAT_PEOPLE_SET[field][1]}
    plan = Plan.of(SCHEDULED, there, overwrite=False)
    assert plan.update.keys() - {"parameters"} == set(plan.changed) == broken
    assert set(plan.kept) == words
    # Parameters go along with a new form alone, and as they are.
    assert plan.update.get("parameters", there.parameters) == there.parameters
    assert ("parameters" in plan.update) == ("parameter_openapi_schema" in broken)

    plan = Plan.of(SCHEDULED, there, overwrite=True)
    assert not plan.kept
    assert set(plan.changed) == broken | words


@pytest.mark.parametrize(
    "theirs",
    [f"prefect_thousandeyes.{SCHEDULED.entrypoint}", SCHEDULED.entrypoint.partition(".")[2]],
    ids=["ours is a checkout", "theirs is"],
)
def test_a_deployment_of_a_project_that_is_installed_otherwise_is_left(theirs: str) -> None:
    there = on_a_server(entrypoint=theirs)
    plan = Plan.of(SCHEDULED, there, overwrite=False)
    assert (plan.kept, plan.update) == (["entrypoint"], {})
    plan = Plan.of(SCHEDULED, there, overwrite=True)
    assert (plan.kept, plan.update) == ([], {"entrypoint": SCHEDULED.entrypoint})


@pytest.mark.parametrize(
    ("schedules", "told"),
    [
        ([schedule(active=True)], ["schedule weekdays-at-10 active"]),
        (
            [schedule(schedule=CronSchedule(cron="0 7 * * *", timezone="Europe/Berlin"))],
            ["schedule weekdays-at-10 time"],
        ),
        (
            [schedule(schedule=CronSchedule(cron=SCHEDULE.cron, timezone="Asia/Tokyo"))],
            ["schedule weekdays-at-10 time"],
        ),
        (
            [schedule(schedule=IntervalSchedule(interval=timedelta(hours=1)), active=True)],
            ["schedule weekdays-at-10 active", "schedule weekdays-at-10 time"],
        ),
        ([schedule(parameters={"groups": ["a"]})], ["schedule weekdays-at-10 parameters"]),
        ([], ["schedule weekdays-at-10 missing"]),
        ([schedule(slug=None), schedule()], ["another schedule"]),
    ],
)
def test_all_that_can_be_set_of_a_schedule_is_told_and_left(
    schedules: list[DeploymentSchedule], told: list[str]
) -> None:
    there = on_a_server(schedules=schedules)
    plan = Plan.of(SCHEDULED, there, overwrite=False)
    assert (dict(plan.update), plan.kept) == ({}, told)
    plan = Plan.of(SCHEDULED, there, overwrite=True)
    [update] = plan.update["schedules"]
    assert (update.schedule, update.active) == (SCHEDULE.time, SCHEDULE.active)


def test_a_schedule_made_in_the_ui_is_no_difference_where_the_file_has_none() -> None:
    there = on_a_server(schedules=[schedule(slug=None, active=True)])
    one = SCHEDULED.model_copy(update={"schedules": []})
    assert not Plan.of(one, there, overwrite=True).update


def test_whether_the_server_checks_parameters_too_is_the_files() -> None:
    one = SCHEDULED.model_copy(update={"enforce_parameter_schema": False})
    assert Plan.of(one, on_a_server(), overwrite=False).update == {
        "enforce_parameter_schema": False
    }
    assert not Plan.of(one, on_a_server(enforce_parameter_schema=False), overwrite=True).update


def test_a_limit_that_is_shared_with_others_is_not_taken_for_its_own() -> None:
    there = on_a_server(global_concurrency_limit=limit("shared", 1))
    assert Plan.of(SCHEDULED, there, overwrite=False).kept == ["concurrency_limit"]


def test_a_form_saved_with_all_its_defaults_is_no_difference() -> None:
    # As the UI saves the form of a deployment, and that of a schedule.
    everything = defaults(SCHEDULED.form)
    nothing: dict[str, Any] = {"credentials": None, "test_ids": [], "options": {"thresholds": None}}
    there = on_a_server(
        parameters=everything | SCHEDULED.parameters, schedules=[schedule(parameters=nothing)]
    )
    assert Plan.of(SCHEDULED, there, overwrite=True) == Plan({}, [], [], {})


def test_a_default_that_was_saved_does_not_outlive_its_form() -> None:
    form = form_with("spelling", "old")
    saved = defaults(form) | {"groups": ["mine"]}
    there = on_a_server(parameters=saved, parameter_openapi_schema=form)
    plan = Plan.of(SCHEDULED, there, overwrite=False)
    assert plan.update["parameters"] == {"groups": ["mine"]}
    assert plan.changed == ["parameter_openapi_schema"]
    assert plan.kept == ["parameters"]
    assert not plan.misfits


def test_a_parameter_that_the_flow_no_longer_takes_is_told_and_nothing_is_guessed() -> None:
    there = on_a_server(
        parameters={"options": {"spelling": "new"}},
        parameter_openapi_schema=form_with("spelling", "old"),
        enforce_parameter_schema=False,
        entrypoint="flows.elsewhere.flow",
    )
    plan = Plan.of(SCHEDULED, there, overwrite=False)
    assert plan.update == {"entrypoint": SCHEDULED.entrypoint}, "else the server refuses all of it"
    assert plan.kept == ["parameter_openapi_schema", "enforce_parameter_schema", "parameters"]
    assert [*plan.misfits] == ["parameters"]
    assert "'spelling' was unexpected" in plan.misfits["parameters"]
    plan = Plan.of(SCHEDULED, there, overwrite=True)
    assert plan.update["parameters"] == SCHEDULED.parameters
    assert not plan.misfits


def test_a_schedule_whose_parameters_the_flow_no_longer_takes_is_told() -> None:
    odd = schedule(slug=None, parameters={"options": {"delivery": "twice"}})
    plan = Plan.of(SCHEDULED, on_a_server(schedules=[schedule(), odd]), overwrite=False)
    assert plan.misfits["schedule made in the UI"].startswith("options.delivery: 'twice' is not")


def automation(place: int) -> AutomationCore:
    entry = read_automations()[place]
    return _as_prefect_has_it(entry, dict.fromkeys(_references(entry), ID))


NOTIFIES, RUNS, _, MARKS, _, _, SILENT = (automation(place) for place in range(7))


def changed(one: AutomationCore, **changes: Any) -> AutomationCore:
    """Change an automation; what begins with `trigger_` or `action_` changes that of it."""
    parts: dict[str, dict[str, Any]] = {"trigger": {}, "action": {}}
    for name in list(changes):
        part, _, field = name.partition("_")
        if part in parts:
            parts[part][field] = changes.pop(name)
    [action] = one.actions
    ours = {
        "trigger": one.trigger.model_copy(update=parts["trigger"]),
        "actions": [action.model_copy(update=parts["action"])],
    }
    return one.model_copy(update=ours | changes)


@pytest.mark.parametrize(
    ("one", "changes", "told"),
    [
        (NOTIFIES, {"enabled": True}, "enabled"),
        (NOTIFIES, {"name": "mine"}, "name"),
        (NOTIFIES, {"description": "Mine."}, "description"),
        (NOTIFIES, {"tags": ["mine"]}, "tags"),
        (NOTIFIES, {"trigger_match_related": {}}, "trigger match_related"),
        (NOTIFIES, {"trigger_match": {"prefect.resource.name": "mine"}}, "trigger match"),
        (NOTIFIES, {"trigger_threshold": 2}, "trigger threshold"),
        (MARKS, {"trigger_within": timedelta(hours=1)}, "trigger within"),
        (NOTIFIES, {"action_block_document_id": uuid4()}, "action 1 block_document_id"),
        (NOTIFIES, {"action_subject": "mine"}, "action 1 subject"),
        (NOTIFIES, {"action_body": "mine"}, "action 1 body"),
        (NOTIFIES, {"actions": [*NOTIFIES.actions, DoNothing()]}, "action 2 type"),
    ],
)
def test_what_people_set_of_an_automation_is_left(
    one: AutomationCore, changes: dict[str, Any], told: str
) -> None:
    there = changed(one, **changes)
    assert mended(there, one, overwrite=False) == there
    assert automation_differences(there, one) == [told]
    assert mended(there, one, overwrite=True) == one


@pytest.mark.parametrize(
    ("one", "changes"),
    [
        (NOTIFIES, {"trigger_expect": {"prefect.flow-run.Completed"}}),
        (NOTIFIES, {"trigger_for_each": set()}),
        (NOTIFIES, {"actions": []}),
        (RUNS, {"action_deployment_id": uuid4()}),
        (RUNS, {"action_parameters": {}}),
        (RUNS, {"action_schedule_after": timedelta(hours=1)}),
        (MARKS, {"trigger_after": set()}),
        (MARKS, {"action_state": "FAILED"}),
    ],
)
def test_what_an_automation_reacts_to_and_does_is_mended(
    one: AutomationCore, changes: dict[str, Any]
) -> None:
    there = changed(one, enabled=True, **changes)
    assert mended(there, one, overwrite=False) == one.model_copy(update={"enabled": True})


@pytest.mark.parametrize("block", [ID, NOT_THERE])
def test_an_action_that_people_put_before_it_stays_there(block: UUID) -> None:
    wanted = changed(NOTIFIES, action_block_document_id=block)
    [told] = NOTIFIES.actions
    for theirs in ([DoNothing()], [DoNothing(), told]):
        there = NOTIFIES.model_copy(update={"actions": theirs})
        left = mended(there, wanted, overwrite=False)
        assert left.actions == [DoNothing(), told if told in theirs else wanted.actions[0]]
        assert mended(left, wanted, overwrite=False) == left
        assert len(mended(there, wanted, overwrite=True).actions) == 1


def test_a_block_that_is_not_there_is_never_set() -> None:
    wanted = changed(NOTIFIES, action_block_document_id=NOT_THERE)
    for overwrite in (False, True):
        assert mended(NOTIFIES, wanted, overwrite=overwrite) == NOTIFIES


def there(one: AutomationCore, **changes: Any) -> Automation:
    return Automation(id=uuid4(), **changed(one, name="mine", **changes).model_dump())


@pytest.mark.parametrize(
    ("one", "changes"),
    [
        (RUNS, {"action_schedule_after": timedelta(5)}),
        (NOTIFIES, {"trigger_threshold": 3, "trigger_within": timedelta(hours=1)}),
        (SILENT, {"trigger_within": timedelta(minutes=30)}),
        (SILENT, {"trigger_after": {"prefect.flow-run.heartbeat"}}),
    ],
)
def test_a_renamed_automation_is_known_by_what_it_does(
    one: AutomationCore, changes: dict[str, Any]
) -> None:
    named, another = there(one, **changes), there(MARKS)
    assert renamed(one, [one.name, MARKS.name], [another, named]) == [named]
    assert renamed(one, [one.name, "mine"], [another, named]) == []


def test_an_automation_that_watches_something_else_is_somebodys_own() -> None:
    theirs = there(NOTIFIES, trigger_match_related={"prefect.resource.name": "another-flow"})
    assert renamed(NOTIFIES, [NOTIFIES.name], [theirs]) == []


def test_each_automation_of_the_file_is_known_from_all_others() -> None:
    ours = [automation(place) for place in range(len(read_automations()))]
    for one in ours:
        found = renamed(one, [], [Automation(id=uuid4(), **other.model_dump()) for other in ours])
        assert [other.name for other in found] == [one.name]
