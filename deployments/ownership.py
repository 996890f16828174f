"""What the files own on a server, and what people set in Prefect's UI.

The files own what lets runs start, and what an automation reacts to and does: differences are
corrected. Everything else is set from the file once, when the thing is made, and is people's from
then on: a difference is reported and left, unless they ask for the file's value.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Any, Final, Self, TypeVar
from uuid import UUID

from prefect.client.schemas.actions import DeploymentScheduleUpdate
from prefect.client.schemas.responses import DeploymentResponse
from prefect.events.schemas.automations import Automation, AutomationCore
from pydantic import BaseModel

from deployments.form import defaults, other_than
from deployments.project import Deployment, problems

_FORM: Final = "parameter_openapi_schema"
_OF_THE_FILE: Final = frozenset(
    ("entrypoint", "pull_steps", "work_pool_name", "enforce_parameter_schema")
) | {_FORM}
"""The fields of a deployment that the file owns."""

_OF_PEOPLE: Final = frozenset(
    # What a trigger watches, how often and for how long; a notification.
    ("match", "match_related", "threshold", "within", "block_document_id", "subject", "body")
)
"""The fields of an automation's trigger and actions that people own."""

NOT_THERE: Final = UUID(int=0)
"""Stands for a block that isn't on the server. Prefect's UI then shows that none is chosen."""

_FIELDS: Final = AutomationCore.model_fields.keys() - {"trigger", "actions", "owner_resource"}
_Part = TypeVar("_Part", bound=BaseModel)


@dataclass(frozen=True)
class Plan:
    """What to do about a deployment that a server already has."""

    update: Mapping[str, Any]
    """Fields of Prefect's `DeploymentUpdate`; only those that need a change."""
    changed: Sequence[str]
    """What differs and is set from the file."""
    kept: Sequence[str]
    """What differs and is left."""
    misfits: Mapping[str, str]
    """Parameters set by people that the flow doesn't take, so that runs fail, and why."""

    @classmethod
    def of(cls, one: Deployment, there: DeploymentResponse, *, overwrite: bool) -> Self:
        """Compare a deployment of the file with the one on a server."""
        wanted, different = _as_an_update(one), _differences(one, there)
        owned = _OF_THE_FILE - ({"entrypoint"} if _is_elsewhere(one, there) else set())
        fields = {field for field in different if overwrite or field in owned}
        misfits = _misfits(one, there, {"parameters", "schedules"} - fields)
        if "parameters" in misfits:
            # A server refuses a form that its parameters don't fit.
            fields -= {_FORM, "enforce_parameter_schema"}
        update = {field: wanted[field] for field in fields}
        if _FORM in fields and "parameters" not in fields:
            update["parameters"] = _chosen(there.parameters, there.parameter_openapi_schema)
        return cls(
            update,
            [words for field in different if field in fields for words in different[field]],
            [words for field in different if field not in fields for words in different[field]],
            misfits,
        )


def _is_elsewhere(one: Deployment, there: DeploymentResponse) -> bool:
    """Tell whether the workers have this flow under another package: installed, or a checkout."""
    theirs = there.entrypoint or ""
    return theirs.endswith(f".{one.entrypoint}") or one.entrypoint.endswith(f".{theirs}")


def _differences(one: Deployment, there: DeploymentResponse) -> dict[str, list[str]]:
    """Return the fields that differ from the deployment on a server, and what differs in each."""
    wanted = _as_an_update(one)
    limit, options = there.global_concurrency_limit, there.concurrency_options
    found = {
        "entrypoint": there.entrypoint,
        _FORM: there.parameter_openapi_schema,
        "enforce_parameter_schema": there.enforce_parameter_schema,
        "work_pool_name": there.work_pool_name,
        "job_variables": there.job_variables,
        "pull_steps": there.pull_steps or [],
        "description": there.description,
        "tags": sorted(there.tags),
        "paused": there.paused,
        "concurrency_limit": limit
        and (limit.limit if limit.name == own_limit(there) else limit.name),
        "concurrency_options": options and options.model_dump(mode="json", exclude_none=True),
        "parameters": _chosen(there.parameters, there.parameter_openapi_schema),
    }
    different = {field: [field] for field in found if found[field] != wanted[field]}
    schedules = [*_schedules_that_differ(one, there)]
    return different | ({"schedules": schedules} if schedules else {})


def _as_an_update(one: Deployment) -> dict[str, Any]:
    limit = one.concurrency_limit
    return {
        "entrypoint": one.entrypoint,
        _FORM: one.form,
        "enforce_parameter_schema": one.enforce_parameter_schema,
        "work_pool_name": one.work_pool.name,
        "job_variables": {},
        "pull_steps": [],
        "description": one.description,
        "tags": sorted(one.tags),
        "paused": False,
        "concurrency_limit": limit and limit.limit,
        "concurrency_options": limit and {"collision_strategy": limit.collision_strategy},
        "parameters": _chosen(one.parameters, one.form),
        "schedules": [
            DeploymentScheduleUpdate(
                slug=schedule.slug,
                schedule=schedule.time,
                active=schedule.active,
                parameters=schedule.parameters,
            )
            for schedule in one.schedules
        ],
    }


def _schedules_that_differ(one: Deployment, there: DeploymentResponse) -> Iterator[str]:
    # If the file has no schedules, those that were made in the UI are not a difference.
    if not one.schedules:
        return
    found = {schedule.slug: schedule for schedule in there.schedules}
    for ours in one.schedules:
        theirs = found.pop(ours.slug, None)
        if not theirs:
            yield f"schedule {ours.slug} missing"
            continue
        pairs = {
            "active": (ours.active, theirs.active),
            "time": (ours.time, theirs.schedule),
            "parameters": (
                _chosen(one.parameters | ours.parameters, one.form),
                _chosen(one.parameters | theirs.parameters, there.parameter_openapi_schema),
            ),
        }
        for field, (wanted, is_there) in pairs.items():
            if wanted != is_there:
                yield f"schedule {ours.slug} {field}"
    if found:
        yield "another schedule"


def _chosen(parameters: Mapping[str, Any], form: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return parameters without those that repeat a default: the UI saves all that its form shows.

    So saving a form, for example to change a tag, makes no difference and pins no default.
    """
    return other_than(parameters, defaults(form or {}))


def _misfits(one: Deployment, there: DeploymentResponse, kept: set[str]) -> dict[str, str]:
    """Check parameters that are kept, as the server does for a new form or a run."""
    given = {}
    if "parameters" in kept:
        given["parameters"] = _chosen(there.parameters, there.parameter_openapi_schema)
    if "schedules" in kept:
        for schedule in there.schedules:
            given[f"schedule {schedule.slug or 'made in the UI'}"] = schedule.parameters
    return {
        where: problem
        for where, parameters in given.items()
        for problem in problems(parameters, one.form)
    }


def own_limit(there: DeploymentResponse) -> str:
    """Return the name of a deployment's own limit, as Prefect gives it."""
    return f"deployment:{there.id}"


def mended(there: AutomationCore, wanted: AutomationCore, *, overwrite: bool) -> AutomationCore:
    """Return what an automation on a server should become: the file's, with what people set.

    With `overwrite`, what people set is left out. A block that isn't there is never set.
    """
    people = frozenset() if overwrite else _OF_PEOPLE
    left, actions = list(wanted.actions), []
    for theirs in there.actions:
        ours = next((one for one in left if type(one) is type(theirs)), None)
        if ours:
            left.remove(ours)
            actions.append(_with(ours, theirs, people))
        elif not overwrite:
            actions.append(theirs)
    changes = {"trigger": _with(wanted.trigger, there.trigger, people), "actions": actions + left}
    if not overwrite:
        changes |= {field: getattr(there, field) for field in _FIELDS}
    return wanted.model_copy(update=changes)


def _with(ours: _Part, theirs: BaseModel, people: AbstractSet[str]) -> _Part:
    """Return our trigger or action with what people set in theirs, if both are of one type."""
    if type(ours) is not type(theirs):
        return ours
    kept = {
        field: getattr(theirs, field)
        for field in type(ours).model_fields
        if field in people or getattr(ours, field) == NOT_THERE
    }
    return ours.model_copy(update=kept)


def renamed(
    wanted: AutomationCore, names: Collection[str], there: Iterable[Automation]
) -> list[Automation]:
    """Return the automations that do the same under a name that the file doesn't have."""
    return [one for one in there if one.name not in names and _work(one) == _work(wanted)]


def _work(automation: AutomationCore) -> object:
    # What it watches is compared: somebody's own automation may do the same for other runs. After
    # which events it does so is not: an older version of the file may have named others.
    return automation.trigger.model_dump(exclude={"after", "threshold", "within"}), [
        (action.type, getattr(action, "deployment_id", None)) for action in automation.actions
    ]


def automation_differences(there: AutomationCore, wanted: AutomationCore) -> list[str]:
    """Return what differs between two automations, such as `enabled` or `action 1 subject`."""
    old, new = _flat(there), _flat(wanted)
    return [name for name in old | new if old.get(name) != new.get(name)]


def _flat(automation: AutomationCore) -> dict[str, object]:
    parts: dict[str, BaseModel] = {"trigger": automation.trigger}
    parts |= {f"action {number}": action for number, action in enumerate(automation.actions, 1)}
    return automation.model_dump(include=set(_FIELDS)) | {
        f"{name} {field}": value
        for name, part in parts.items()
        for field, value in part.model_dump().items()
    }
