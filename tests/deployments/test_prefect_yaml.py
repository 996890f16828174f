"""`prefect.yaml`, read more strictly than Prefect does: it passes over keys it doesn't know."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from prefect import Flow
from prefect.flows import load_flow_from_entrypoint
from prefect.schedules import Cron
from pydantic import BaseModel, ConfigDict

PROJECT = Path(__file__).parents[2]


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid")


class WorkPool(Strict):
    name: str


class Schedule(Strict):
    slug: str
    cron: str
    timezone: str
    active: bool


class ConcurrencyLimit(Strict):
    limit: int
    collision_strategy: str


class Deployment(Strict):
    name: str
    description: str
    entrypoint: str
    tags: list[str]
    enforce_parameter_schema: bool
    work_pool: WorkPool
    parameters: dict[str, Any] = {}
    schedules: list[Schedule] = []
    concurrency_limit: ConcurrencyLimit | None = None

    @property
    def flow(self) -> Flow[..., Any]:
        return load_flow_from_entrypoint(self.entrypoint, use_placeholder_flow=False)


class PrefectYaml(Strict):
    pull: list[dict[str, Any]]
    definitions: dict[str, Any]
    deployments: list[Deployment]


FILE = PrefectYaml.model_validate(yaml.safe_load((PROJECT / "prefect.yaml").read_text("utf-8")))

each_deployment = pytest.mark.parametrize("deployment", FILE.deployments, ids=lambda one: one.name)


@each_deployment
def test_the_entrypoint_is_really_there(deployment: Deployment) -> None:
    assert deployment.flow.name == "rerun-endpoint-tests"


@each_deployment
def test_the_flow_takes_the_parameters(deployment: Deployment) -> None:
    given = {"test_ids": ["1"]} | deployment.parameters
    assert deployment.flow.validate_parameters(given)


@each_deployment
def test_a_schedule_is_one_that_prefect_can_read(deployment: Deployment) -> None:
    for schedule in deployment.schedules:
        assert Cron(schedule.cron, timezone=schedule.timezone, slug=schedule.slug)


def test_workers_pull_nothing_since_the_project_is_installed() -> None:
    assert FILE.pull == []


def test_no_secret_and_no_reference_to_one_stands_in_the_file() -> None:
    text = (PROJECT / "prefect.yaml").read_text("utf-8")
    assert "TE_TOKEN" not in text
    assert "prefect.blocks" not in text
