"""`prefect.yaml`: read more strictly than Prefect does, which passes over what it doesn't know."""

import subprocess
import sys
from pathlib import Path
from typing import Any, Final, Literal

import yaml
from prefect import Flow
from prefect.client.schemas.objects import DeploymentSchedule
from prefect.client.schemas.responses import DeploymentResponse
from prefect.client.schemas.schedules import CronSchedule
from prefect.flows import load_flow_from_entrypoint
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from deployments.steps import BootstrapError, first_problem

ROOT: Final = Path(__file__).parents[1]
FILE: Final = ROOT / "prefect.yaml"


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid")


class _WorkPool(_Strict):
    name: str


class Schedule(_Strict):
    """When a deployment runs by itself."""

    slug: str
    cron: str
    timezone: str
    active: bool
    parameters: dict[str, Any] = {}


class _ConcurrencyLimit(_Strict):
    limit: int = Field(ge=1)
    collision_strategy: Literal["CANCEL_NEW", "ENQUEUE"]


class Deployment(_Strict):
    """A deployment as the file has it."""

    name: str
    description: str
    entrypoint: str
    tags: list[str]
    enforce_parameter_schema: Literal[True]
    work_pool: _WorkPool
    parameters: dict[str, Any] = {}
    schedules: list[Schedule] = []
    concurrency_limit: _ConcurrencyLimit | None = None

    @property
    def flow(self) -> Flow[..., Any]:
        """The flow itself, really imported."""
        return load_flow_from_entrypoint(self.entrypoint, use_placeholder_flow=False)

    @property
    def full_name(self) -> str:
        """`<flow>/<deployment>`, as Prefect names it."""
        return f"{self.flow.name}/{self.name}"

    def differences(self, there: DeploymentResponse) -> list[str]:
        """Return what differs from the deployment on a server, as names of fields."""
        limit, options = there.global_concurrency_limit, there.concurrency_options
        ours = self.concurrency_limit
        flow = self.flow
        pairs: dict[str, tuple[object, object]] = {
            "description": (self.description, there.description),
            "entrypoint": (self.entrypoint, there.entrypoint),
            "tags": (sorted(self.tags), sorted(there.tags)),
            "parameters": (self.parameters, there.parameters),
            "form": (
                flow.parameters.model_dump(exclude_unset=True),
                there.parameter_openapi_schema,
            ),
            "enforce_parameter_schema": (True, there.enforce_parameter_schema),
            "work_pool": (self.work_pool.name, there.work_pool_name),
            "job_variables": ({}, there.job_variables),
            "pull": ([], there.pull_steps or []),
            "concurrency_limit": (
                ours and (ours.limit, ours.collision_strategy),
                limit and (limit.limit, options.collision_strategy if options else None),
            ),
        }
        # Without schedules in the file, those that were made in the UI stay.
        if self.schedules:
            pairs["schedules"] = (
                {str(one.slug): one.model_dump() for one in self.schedules},
                {str(one.slug): _as_in_the_file(one) for one in there.schedules},
            )
        return [field for field, (wanted, found) in pairs.items() if wanted != found]


class _File(_Strict):
    pull: list[Any] = Field(max_length=0)
    definitions: dict[str, Any]
    deployments: list[Deployment]


def read_deployments(path: Path = FILE) -> list[Deployment]:
    """Return the deployments of a `prefect.yaml`, each of them one that would run.

    Raises:
        BootstrapError: It can't be read, holds something that has no place in it, names a flow
            that can't be imported, or gives one parameters that it doesn't take.
    """
    try:
        deployments = _File.model_validate(yaml.safe_load(path.read_text("utf-8"))).deployments
    except (OSError, yaml.YAMLError) as error:
        raise BootstrapError(f"{path.name} can't be read: {error}") from None
    except ValidationError as error:
        raise BootstrapError(f"{path.name}: {first_problem(error)}") from None
    for deployment in deployments:
        _check(deployment, path)
    return deployments


def deploy(deployments: list[Deployment]) -> None:
    """Deploy these, as `prefect deploy` does.

    Raises:
        BootstrapError: Prefect refuses; with its own words.
    """
    names = [word for one in deployments for word in ("--name", one.name)]
    done = subprocess.run(  # noqa: S603 - our own command, and names from our file
        [sys.executable, "-m", "prefect", "--no-prompt", "deploy", *names],
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise BootstrapError(f"prefect deploy failed:\n{done.stdout}{done.stderr}")


def _check(deployment: Deployment, path: Path) -> None:
    where = f"{path.name}: {deployment.name}"
    try:
        flow = deployment.flow
    except Exception as error:
        raise BootstrapError(
            f"{where}: {deployment.entrypoint} can't be loaded: {error}"
        ) from error
    given = [deployment.parameters]
    given += [deployment.parameters | schedule.parameters for schedule in deployment.schedules]
    for schedule in deployment.schedules:
        try:
            CronSchedule(cron=schedule.cron, timezone=schedule.timezone)
        except ValueError as error:
            raise BootstrapError(f"{where}: {schedule.slug}: {error}") from None
    for parameters in given:
        if not parameters:
            continue
        try:
            flow.validate_parameters(parameters)
        except Exception as error:  # noqa: BLE001 - whatever the flow's own types raise
            raise BootstrapError(f"{where}: the flow does not take {parameters}: {error}") from None


def _as_in_the_file(schedule: DeploymentSchedule) -> dict[str, Any]:
    own = schedule.schedule
    return {
        "slug": schedule.slug,
        "cron": getattr(own, "cron", None),
        "timezone": getattr(own, "timezone", None),
        "active": schedule.active,
        "parameters": schedule.parameters or {},
    }
