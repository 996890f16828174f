"""`prefect.yaml`: read more strictly than by Prefect, which ignores what it doesn't know."""

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, Literal

from jsonschema import ValidationError as JsonError
from jsonschema.exceptions import best_match
from prefect import Flow
from prefect.client.schemas.schedules import CronSchedule
from prefect.flows import load_flow_from_entrypoint
from prefect.utilities.schema_tools.validation import validate
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from deployments.form import shortened
from deployments.steps import BootstrapError, check_unique
from flows.rerun.options import RerunOptions
from tasks.deployment import as_slug
from thousandeyes.errors import SettingsError
from thousandeyes.mistakes import Unreadable, read_yaml, told

FILE: Final = Path(__file__).parents[1] / "prefect.yaml"


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

    @property
    def time(self) -> CronSchedule:
        """The schedule as Prefect has it.

        Raises:
            ValueError: It is not a cron expression, or there is no such time zone.
        """
        return CronSchedule(cron=self.cron, timezone=self.timezone)


class _ConcurrencyLimit(_Strict):
    limit: int = Field(ge=1)
    collision_strategy: Literal["CANCEL_NEW", "ENQUEUE"]


class Deployment(_Strict):
    """A deployment as the file has it."""

    name: str = Field(pattern="^[^/%&><]+$")
    description: str
    entrypoint: str
    tags: list[str]
    enforce_parameter_schema: bool
    work_pool: _WorkPool
    parameters: dict[str, Any] = {}
    schedules: list[Schedule] = []
    concurrency_limit: _ConcurrencyLimit | None = None

    @property
    def flow(self) -> Flow[..., Any]:
        """The flow itself, imported."""
        return load_flow_from_entrypoint(self.entrypoint, use_placeholder_flow=False)

    @property
    def full_name(self) -> str:
        """`<flow>/<deployment>`, as Prefect names it."""
        return f"{self.flow.name}/{self.name}"

    @property
    def form(self) -> dict[str, Any]:
        """The flow's parameters as Prefect's UI shows them, in JSON Schema."""
        return shortened(self.flow.parameters.model_dump(exclude_unset=True))


class _File(_Strict):
    pull: list[Any] = Field(max_length=0)
    definitions: dict[str, Any]
    deployments: list[Deployment]


def read_deployments(path: Path = FILE) -> list[Deployment]:
    """Return the deployments of a `prefect.yaml`, after checking that each would run.

    Raises:
        BootstrapError: The file can't be read, holds something that doesn't belong there, names a
            flow that can't be imported, or gives a flow parameters that it doesn't take.
    """
    try:
        deployments = _File.model_validate(read_yaml(path)).deployments
    except Unreadable as error:
        raise BootstrapError(str(error)) from None
    except ValidationError as error:
        raise BootstrapError(f"{path.name}: {told(error)}") from None
    for deployment in deployments:
        _check(deployment, path)
    # Even for different flows: `prefect deploy --name` makes all deployments of that name, and
    # artifacts are kept by its slug.
    slugs = Counter(as_slug(one.name) for one in deployments)
    if alike := [one.full_name for one in deployments if slugs[as_slug(one.name)] > 1]:
        raise BootstrapError(
            f"{path.name}: {', '.join(alike)}: their names must also differ without the flow, in "
            "letters a to z or digits"
        )
    return deployments


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
    check_unique(path, [f"schedule {schedule.slug}" for schedule in deployment.schedules])
    for schedule in deployment.schedules:
        try:
            _ = schedule.time
        except ValueError as error:
            raise BootstrapError(f"{where}: {schedule.slug}: {error}") from None
    for parameters in filter(None, given):
        # The server's own check, by the form, comes before the flow's, by its types.
        if found := problems(parameters, deployment.form):
            raise BootstrapError(f"{where}: the flow does not take {found[0]}")
        try:
            flow.validate_parameters(parameters)
        except Exception as error:  # noqa: BLE001 - whatever the flow's own types raise
            raise BootstrapError(f"{where}: the flow does not take {parameters}: {error}") from None


def problems(parameters: Mapping[str, Any], form: Mapping[str, Any]) -> list[str]:
    """Return why a flow's form, as the server does, or then the flow refuses parameters."""
    found = validate(dict(parameters), dict(form), ignore_required=True)
    words = [
        f"{'.'.join(map(str, error.absolute_path))}: {error.message}".removeprefix(": ")
        for error in map(_closest, found)
    ]
    if not words and RerunOptions.__name__ in form.get("definitions", {}):
        try:
            options = RerunOptions.model_validate(parameters.get("options") or {})
            options.check_results_are_awaited()
        except SettingsError as error:
            words = [f"options: {error}"]
    return words


def _closest(error: JsonError) -> JsonError:
    """Return, for a value that fits no kind of several, why it does not fit the likeliest one."""
    return best_match([error])
