"""`prefect.yaml`, read more strictly than Prefect does: it passes over mistakes."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import yaml
from prefect.server.schemas.schedules import CronSchedule

from deployments.project import FILE, Deployment, read_deployments
from deployments.steps import BootstrapError

DEPLOYMENTS = read_deployments()
SCHEDULE = {"slug": "a", "cron": "0 1 * * *", "timezone": "UTC", "active": True}
RERUNS = [one for one in DEPLOYMENTS if one.flow.name == "rerun-endpoint-tests"]


def changed(tmp_path: Path, **values: Any) -> Path:
    """Write the project's file with other values for its first deployment."""
    content = yaml.safe_load(FILE.read_text("utf-8"))
    content["deployments"][0] |= values
    path = tmp_path / "prefect.yaml"
    path.write_text(yaml.safe_dump(content), "utf-8")
    return path


def test_the_project_has_its_deployments() -> None:
    assert [one.full_name for one in DEPLOYMENTS] == [
        "rerun-endpoint-tests/scheduled",
        "rerun-endpoint-tests/on-demand",
        "rerun-endpoint-tests/after-change",
        "rerun-around-change/around-change",
        "judge-run-again/judge-again",
        "rerun-organizations/organizations",
        "create-endpoint-tests/create",
        "restart-crashed-run/restart",
        "explain-cancelled-run/explain",
    ]


def test_the_schedule_is_off_until_its_group_exists() -> None:
    [schedule] = DEPLOYMENTS[0].schedules
    assert not schedule.active
    assert DEPLOYMENTS[0].parameters == {"groups": ["morning-checks"]}


@pytest.mark.parametrize(
    "night", [datetime(2027, 3, 27, tzinfo=UTC), datetime(2026, 10, 24, tzinfo=UTC)]
)
@pytest.mark.parametrize("hour", [0, 1, 2, 3, 10])
async def test_a_daily_schedule_comes_once_a_day_also_where_daylight_saving_begins_and_ends(
    night: datetime, hour: int
) -> None:
    [schedule] = DEPLOYMENTS[0].schedules
    zone = ZoneInfo(schedule.timezone)
    daily = CronSchedule(cron=f"30 {hour} * * *", timezone=schedule.timezone)
    came = [at.astimezone(zone).date() for at in await daily.get_dates(4, night)]
    assert came == [came[0] + timedelta(days=number) for number in range(4)]


def test_a_run_that_is_due_while_another_goes_on_is_cancelled_on_the_schedule_alone() -> None:
    limits = {one.name: one.concurrency_limit for one in RERUNS}
    assert limits["scheduled"]
    assert limits["scheduled"].collision_strategy == "CANCEL_NEW"
    assert limits["on-demand"] is None
    assert limits["after-change"] is None


def test_what_nobody_fills_in_is_refused_by_the_flow_alone_in_a_run_that_is_seen() -> None:
    assert [one.name for one in DEPLOYMENTS if not one.enforce_parameter_schema] == ["after-change"]


@pytest.mark.parametrize("deployment", DEPLOYMENTS, ids=lambda one: one.name)
def test_each_says_what_it_is_for(deployment: Deployment) -> None:
    assert deployment.description.endswith(".")
    assert "thousandeyes" in deployment.tags


def test_no_secret_and_no_reference_to_one_stands_in_the_file() -> None:
    text = FILE.read_text("utf-8")
    assert "TE_TOKEN" not in text
    assert "prefect.blocks" not in text
    assert "job_variables" not in text


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"concurency_limit": 3}, "deployments.0.concurency_limit: Extra inputs"),
        ({"entrypoint": "flows.rerun.no_such_flow"}, "can't be loaded"),
        ({"entrypoint": "flows.no_such_module.flow"}, "can't be loaded"),
        ({"parameters": {"test_id": ["1"]}}, "does not take"),
        ({"parameters": {"options": {"delivery": "twice"}}}, "does not take"),
        ({"parameters": {"groups": 1}}, "does not take groups: 1 is not valid"),
        ({"parameters": {"groups": ["A B"]}}, r"does not take groups\.0: 'A B' does not match"),
        ({"parameters": {"test_ids": 7.5}}, r"does not take test_ids: 7\.5 is not"),
        ({"parameters": {"test_ids": ["no ID!"]}}, r"does not take test_ids"),
        (
            {"parameters": {"options": {"expected_agents": 3}}},
            "expected_agents: no effect",
        ),
        ({"enforce_parameter_schema": "perhaps"}, "enforce_parameter_schema: Input should be"),
        ({"name": "on/demand"}, "deployments.0.name: String should match"),
        ({"name": "on-demand"}, "tests/on-demand, rerun-endpoint-tests/on-demand: their names"),
        ({"name": "organizations"}, "rerun-organizations/organizations: their names must also"),
        ({"name": "On demand"}, "tests/On demand, rerun-endpoint-tests/on-demand: their names"),
        ({"schedules": [SCHEDULE, SCHEDULE]}, "more than once: schedule a"),
        ({"work_pool": {"name": "a", "job_variables": {"env": {}}}}, "job_variables"),
        ({"schedules": [SCHEDULE | {"cron": "0 25 * * *"}]}, "cron"),
        ({"schedules": [SCHEDULE | {"timezone": "Europe/Berlino"}]}, "timezone"),
        ({"schedules": [SCHEDULE | {"parameters": {"groupz": []}}]}, "does not take"),
        ({"schedules": [SCHEDULE | {"activ": True}]}, "activ: Extra inputs"),
    ],
)
def test_what_prefect_would_pass_over_is_refused(
    tmp_path: Path, values: dict[str, Any], said: str
) -> None:
    with pytest.raises(BootstrapError, match=said):
        read_deployments(changed(tmp_path, **values))


def test_numbers_are_taken_for_ids_as_everywhere(tmp_path: Path) -> None:
    for test_ids in (765, [765, "766"]):
        assert read_deployments(changed(tmp_path, parameters={"test_ids": test_ids}))


def test_a_file_that_is_no_text_is_told(tmp_path: Path) -> None:
    path = tmp_path / "prefect.yaml"
    path.write_bytes("# Büro\n".encode("latin-1"))
    with pytest.raises(BootstrapError, match=r"prefect\.yaml is not text in UTF-8"):
        read_deployments(path)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("pull: []\ndeployments: [", "line 2, column 15: expected"),
        ("deployments: []\npull: []\ndeployments: []", "appears twice, first on line 1"),
    ],
)
def test_a_file_that_is_no_yaml_is_told_with_its_line(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "prefect.yaml"
    path.write_text(text, "utf-8")
    with pytest.raises(BootstrapError, match=said):
        read_deployments(path)
