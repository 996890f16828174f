"""Test definitions: what a creation takes, and what the API returns about a test."""

import random
from typing import Any, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic.alias_generators import to_camel

from .inventory import DEFAULT_MAX_MACHINES, EndpointTest, Kind, server_ip
from .replies import InvalidFieldsError, iso_utc
from .state import Simulator

_SELECTOR_FIELDS = {
    *("agent_selector_type", "agents", "endpoint_agent_labels", "tag_ids", "max_machines")
}
_NEVER_TOLD = {"password", "test_name", "has_ping", "has_traceroute", "target_response_time"}


class InstantTestRequest(BaseModel):
    """The fields of both kinds, with the names, defaults and limits of OpenAPI 7.0.110."""

    model_config = ConfigDict(alias_generator=to_camel, strict=True)

    test_name: str
    agent_selector_type: Literal["all-agents", "specific-agents", "agent-labels", "agent-tags"] = (
        "all-agents"
    )
    agents: list[UUID] = Field(default_factory=list)
    endpoint_agent_labels: list[str] = Field(default_factory=list)
    tag_ids: list[UUID] = Field(default_factory=list)
    max_machines: int = DEFAULT_MAX_MACHINES
    ip_version: Literal["V4_ONLY", "V6_ONLY", "V6_PREFER", "OS_DEFAULT"] = "OS_DEFAULT"

    def check_selector(self) -> None:
        """Raise `InvalidFieldsError` if the chosen kind of selection lacks its list."""
        needed = {
            "specific-agents": ("agents", self.agents),
            "agent-labels": ("endpointAgentLabels", self.endpoint_agent_labels),
            "agent-tags": ("tagIds", self.tag_ids),
        }
        name, chosen = needed.get(self.agent_selector_type, ("", ["all"]))
        if not chosen:
            message = f"is needed with agentSelectorType {self.agent_selector_type}"
            raise InvalidFieldsError.of(name, message)

    def selector(self) -> dict[str, Any]:
        """Return the choice of agents as a definition has it."""
        config: dict[str, Any] = {
            "agentSelectorType": self.agent_selector_type,
            "maxMachines": self.max_machines,
        }
        if self.agent_selector_type == "specific-agents":
            config["agents"] = [str(agent) for agent in self.agents]
        if self.agent_selector_type == "agent-labels":
            config["endpointAgentLabels"] = self.endpoint_agent_labels
        if self.agent_selector_type == "agent-tags":
            config["tagIds"] = [str(tag) for tag in self.tag_ids]
        return config

    def settings(self) -> dict[str, Any]:
        """Return the other fields that a definition contains."""
        return self.model_dump(by_alias=True, exclude=_SELECTOR_FIELDS | _NEVER_TOLD)


class AgentToServerRequest(InstantTestRequest):
    """A network test; the instant request has no protocol."""

    server: str
    port: int = 443
    server_name: str = Field(default="", exclude=True)


class HttpServerRequest(InstantTestRequest):
    """An HTTP test; times in milliseconds."""

    url: str
    auth_type: Literal["none", "basic", "ntlm"] = "none"
    username: str = ""
    password: str = ""
    http_time_limit: int = 5_000
    target_response_time: int = 1_000
    ssl_version_id: Literal["0", "3", "4", "5", "6", "7"] = "0"
    verify_certificate: bool = True
    protocol: Literal[
        "icmp", "icmp-with-tcp-connect", "tcp", "prefer-tcp", "ast-autodetect", "autodetect"
    ] = "icmp"
    tcp_probe_mode: Literal["auto", "sack", "syn"] = "auto"
    network_measurements: bool = True
    has_path_trace_in_session: bool = True
    has_ping: bool = True
    has_traceroute: bool = True


_REQUESTS: dict[Kind, type[InstantTestRequest]] = {
    "agent-to-server": AgentToServerRequest,
    "http-server": HttpServerRequest,
}


def new_test(kind: Kind, body: bytes, test_id: str, rng: random.Random, now: float) -> EndpointTest:
    """Return the test that a creation's body asks for; raise `InvalidFieldsError`."""
    try:
        request = _REQUESTS[kind].model_validate_json(body)
    except ValidationError as error:
        raise InvalidFieldsError.from_pydantic(error) from None
    request.check_selector()
    return EndpointTest(
        id=test_id,
        kind=kind,
        name=request.test_name,
        settings=request.settings(),
        server_ip=server_ip(rng),
        selector=request.selector(),
        created_at=now,
    )


def definition(test: EndpointTest, simulator: Simulator, base_url: str) -> dict[str, Any]:
    """Return what the API returns about a test.

    The links repeat two slips of the vendor's own examples: `self` lacks `scheduled-tests`, and
    path results are linked as `pathvis` although they are served at `path-vis`.
    """
    results = f"{base_url}/endpoint/test-results/scheduled-tests/{test.id}"
    result_paths = ["network/filter", "pathvis"]
    of_kind: dict[str, Any] = {}
    if test.kind == "http-server":
        result_paths.insert(0, "http-server")
        of_kind = {"httpVersion": 2, "followRedirects": True, "sslVersion": "Auto"}
    return {
        "aid": simulator.aid,
        "testId": test.id,
        "testName": test.name,
        "type": test.kind,
        "agentSelectorConfig": test.selector,
        "interval": simulator.options.interval(test.id),
        "isEnabled": True,
        "isPrioritized": False,
        "isSavedEvent": False,
        "networkMeasurements": True,
        "hasPathTraceInSession": True,
        "protocol": "icmp",
        "tcpProbeMode": "auto",
        "ipVersion": "OS_DEFAULT",
        "createdDate": iso_utc(test.created_at),
        "modifiedDate": iso_utc(test.created_at),
        **of_kind,
        **test.settings,
        "_links": {
            "self": {"href": f"{base_url}/endpoint/tests/{test.kind}/{test.id}"},
            "testResults": [{"href": f"{results}/{path}"} for path in result_paths],
        },
    }
