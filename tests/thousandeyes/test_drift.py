"""What this project reads and sends, held against the vendor's newest client.

A field that the vendor renames, drops or gives another type, or a value that an enumeration gains,
shows here as soon as the client is brought up to date.
"""

# Its generated modules export no names explicitly.
# mypy: disable-error-code="attr-defined"

import types
from collections.abc import Iterator, Mapping
from datetime import datetime
from enum import Enum
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import pytest
import thousandeyes_sdk.administrative as sdk_accounts
import thousandeyes_sdk.endpoint_agents as sdk_agents
import thousandeyes_sdk.endpoint_instant_tests as sdk_instant
import thousandeyes_sdk.endpoint_test_results as sdk_results
import thousandeyes_sdk.endpoint_tests as sdk_tests
from pydantic import AliasChoices, AliasPath, AwareDatetime, BaseModel

from thousandeyes import definitions, laptop, models, rounds
from thousandeyes.simulator import agents as simulated_agents
from thousandeyes.simulator import faults as simulated_faults
from thousandeyes.simulator import options as simulated_options

READ: list[tuple[type[BaseModel], Any]] = [
    (models.EndpointTest, sdk_tests.EndpointTest),
    (models.Agent, sdk_agents.EndpointAgent),
    (models.AccountGroup, sdk_accounts.AccountGroupInfo),
    (rounds.NetworkRound, sdk_results.NetworkEndpointTestResult),
    (rounds.HttpRound, sdk_results.HttpEndpointTestResult),
    (rounds.Score, sdk_results.EndpointPingDataPointScore),
    (rounds.Score, sdk_results.EndpointHttpDataPointScore),
    (laptop._Told, sdk_results.NetworkEndpointTestResult),
    (laptop._Told, sdk_results.HttpEndpointTestResult),
]
OURS = {"laptop"}
"""Fields that are made here, of others."""
ENVELOPES: list[tuple[Any, dict[str, str]]] = [
    (sdk_tests.EndpointTests, {"tests": "list"}),
    (
        sdk_agents.ListEndpointAgentsResponse,
        {"agents": "list", "totalAgents": "whole number", "_links": "object"},
    ),
    (
        sdk_agents.FilterEndpointAgentsResponse,
        {"agents": "list", "totalAgents": "whole number", "_links": "object"},
    ),
    (sdk_agents.AgentSearchRequest, {"searchFilters": "object"}),
    (sdk_agents.AgentSearchFilters, {"id": "list"}),
    (sdk_accounts.AccountGroups, {"accountGroups": "list"}),
    (
        sdk_results.MultiTestIdNetworkEndpointTestResults,
        {"results": "list", "totalHits": "whole number", "_links": "object"},
    ),
    (
        sdk_results.HttpMultiEndpointTestResults,
        {"results": "list", "totalHits": "whole number", "_links": "object"},
    ),
    (sdk_results.HttpEndpointTestResults, {"results": "list", "totalHits": "whole number"}),
    (sdk_results.MultiTestIdEndpointTestsDataSearchFilter, {"testId": "list"}),
    (sdk_results.HttpEndpointTestsDataSearchFilter, {"testId": "list"}),
    (sdk_instant.EndpointRunScheduledInstantTestResult, {"message": "text"}),
    (sdk_instant.EndpointAgentToServerTest, {"testId": "text"}),
    (sdk_instant.EndpointHttpServerTest, {"testId": "text"}),
    (sdk_instant.Error, {"title": "text", "detail": "text"}),
    (sdk_instant.UnauthorizedError, {"error": "text", "error_description": "text"}),
    (sdk_instant.ValidationErrorItem, {"code": "text", "field": "text", "message": "text"}),
]
SENT = [
    (definitions.AgentToServerTest, sdk_instant.EndpointAgentToServerInstantTest),
    (definitions.HttpServerTest, sdk_instant.EndpointHttpServerInstantTest),
]
VALUES = [
    (definitions.AgentSelector, sdk_instant.EndpointTestAgentSelectorType),
    (definitions.IpVersion, sdk_instant.EndpointIpVersionIn),
    (definitions.AuthType, sdk_instant.EndpointTestAuthType),
    (definitions.SslVersion, sdk_instant.TestSslVersionId),
    (definitions.Protocol, sdk_instant.EndpointTestProtocol),
    (definitions.ProbeMode, sdk_instant.TestProbeMode),
    (simulated_agents.Platform, sdk_agents.Platform),
    (simulated_agents.LicenseType, sdk_agents.AgentLicenseType),
    (simulated_options.Interval, sdk_tests.TestInterval),
    (Literal["none", simulated_faults.HttpError], sdk_results.HttpErrorType),
    (Literal["agent-to-server", "http-server"], sdk_tests.EndpointScheduledTestType),
]
_UNKNOWN = {"unknown", 11184809}
"""What the generated enumerations take for anything they don't know."""
_KINDS = {
    str: "text", bool: "flag", int: "whole number", float: "number", datetime: "date",
    AwareDatetime: "date", list: "list", tuple: "list", dict: "object",
}  # fmt: skip


def kinds(annotation: Any) -> set[str]:
    """Return what a field may hold, in words that both sides share."""
    origin = get_origin(annotation)
    if origin is Annotated:
        return kinds(get_args(annotation)[0])
    if origin in (Union, types.UnionType):
        return {kind for one in get_args(annotation) for kind in kinds(one)}
    if annotation is type(None):
        return set()
    if isinstance(kind := origin or annotation, type):
        if issubclass(kind, BaseModel):
            return {"object"}
        if issubclass(kind, Enum):
            return {"whole number" if issubclass(kind, int) else "text"}
    return {_KINDS[kind]}


def fields(model: type[BaseModel]) -> dict[str, Any]:
    """Return the annotations of a generated model's fields by the names that the API gives them."""
    if "actual_instance" in model.model_fields:  # one of several: whatever any of them has
        chosen = model.model_fields["actual_instance"].annotation
        one_of = [one for one in get_args(chosen) if one is not type(None)]
        return {name: kind for one in one_of for name, kind in fields(one).items()}
    return {info.alias or name: info.annotation for name, info in model.model_fields.items()}


def models_in(annotation: Any) -> list[type[BaseModel]]:
    return [one for one in [annotation, *get_args(annotation)] if isinstance(one, type)]


def at(model: type[BaseModel], path: list[str]) -> Any:
    """Return the annotation of a field, which may lie deeper; raise `KeyError`."""
    found = fields(model)[path[0]]
    for name in path[1:]:
        [inner] = [one for one in models_in(found) if issubclass(one, BaseModel)]
        found = fields(inner)[name]
    return found


def paths(alias: object) -> Iterator[list[str]]:
    """Yield the places where a field of ours is read."""
    choices = alias.choices if isinstance(alias, AliasChoices) else [alias]
    for choice in choices:
        yield list(map(str, choice.path if isinstance(choice, AliasPath) else [choice]))


def read_fields() -> Iterator[Any]:
    for ours, theirs in READ:
        for name, info in ours.model_fields.items():
            if name in OURS:
                continue
            alias = info.validation_alias or name
            label = f"{theirs.__name__}-{name}"
            yield pytest.param(theirs, alias, info.annotation, id=label)


@pytest.mark.parametrize(("theirs", "alias", "annotation"), list(read_fields()))
def test_what_is_read_is_what_the_vendor_tells(
    theirs: type[BaseModel], alias: object, annotation: Any
) -> None:
    told = []
    for path in paths(alias):
        try:
            told.append(at(theirs, path))
        except KeyError:
            continue
    assert told, "the vendor's client knows no such field"
    ours = kinds(annotation)
    ours |= {"whole number"} if "number" in ours else set()
    for found in told:
        assert kinds(found) <= ours


@pytest.mark.parametrize(("theirs", "expected"), ENVELOPES, ids=lambda one: str(one)[-50:])
def test_so_is_what_stands_around_it(theirs: type[BaseModel], expected: Mapping[str, str]) -> None:
    known = fields(theirs)
    assert {name: kinds(known[name]) for name in expected} == {
        name: {kind} for name, kind in expected.items()
    }


@pytest.mark.parametrize(("ours", "theirs"), SENT)
def test_a_definition_has_every_field_that_the_vendor_takes_and_no_other(
    ours: type[BaseModel], theirs: type[BaseModel]
) -> None:
    own = {info.serialization_alias or name for name, info in ours.model_fields.items()}
    assert own - {"type"} == set(fields(theirs))


@pytest.mark.parametrize(("ours", "theirs"), VALUES)
def test_enumerations_have_the_vendor_s_values(ours: Any, theirs: type[Enum]) -> None:
    assert set(get_args(ours)) == {one.value for one in theirs} - _UNKNOWN
