"""What an endpoint instant test measures: its definition, as a creation takes it.

It has the fields and defaults of the vendor's own client, so that the same definition makes the
same request. Only what can't work is refused before anything is sent: an empty name or target, and
a field that needs another one. Numbers have no bounds, because the vendor states none.

Source: OpenAPI 7.0.110, as in the vendor's client 6.0.0.
"""

from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    AliasChoices,
    AliasGenerator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    model_validator,
)
from pydantic.alias_generators import to_camel

from thousandeyes.lists import as_text
from thousandeyes.text import shown

AgentSelector = Literal["all-agents", "specific-agents", "agent-labels", "agent-tags"]
IpVersion = Literal["V4_ONLY", "V6_ONLY", "V6_PREFER", "OS_DEFAULT"]
AuthType = Literal["none", "basic", "ntlm"]
SslVersion = Literal["0", "3", "4", "5", "6", "7"]
Protocol = Literal[
    "icmp", "icmp-with-tcp-connect", "tcp", "prefer-tcp", "ast-autodetect", "autodetect"
]
ProbeMode = Literal["auto", "sack", "syn"]


def _not_blank(text: str) -> str:
    if not shown(text):
        raise ValueError("needs a character that can be seen")
    return text


_Text = Annotated[str, AfterValidator(_not_blank)]
_Ids = list[Annotated[str, BeforeValidator(as_text)]]


def _either_writing(name: str) -> str | AliasChoices:
    return name if to_camel(name) == name else AliasChoices(name, to_camel(name))


class InstantTest(BaseModel):
    """What both kinds have. Names in the API's spelling work too; null leaves a field out."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        hide_input_in_errors=True,
        alias_generator=AliasGenerator(
            validation_alias=_either_writing, serialization_alias=to_camel
        ),
    )

    type: str
    test_name: _Text = Field(
        min_length=1, description="The test's name; a group knows its tests by their names."
    )
    agent_selector_type: AgentSelector | None = Field(
        default=None,
        description=(
            "Which laptops measure: all-agents (the API's default), or those of a list: "
            "specific-agents, agent-tags, or agent-labels, which the vendor is retiring."
        ),
    )
    agents: _Ids | None = Field(
        default=None, description="IDs of endpoint agents; specific-agents needs it."
    )
    endpoint_agent_labels: _Ids | None = Field(
        default=None, description="IDs of agent labels; agent-labels needs it."
    )
    tag_ids: _Ids | None = Field(default=None, description="IDs of tags; agent-tags needs it.")
    max_machines: int | None = Field(default=25, description="How many agents may measure at most.")
    ip_version: IpVersion | None = Field(
        default=None, description="Which IP version the agents use; the API's choice when empty."
    )

    def body(self) -> dict[str, Any]:
        """Return the request's body, secrets in clear."""
        body = self.model_dump(by_alias=True, exclude_none=True, exclude={"type"})
        return {name: _in_clear(value) for name, value in body.items()}

    def secrets(self) -> list[str]:
        """Return what people must not read, wherever the API repeats it."""
        values = (getattr(self, name) for name in type(self).model_fields)
        return [value.get_secret_value() for value in values if isinstance(value, SecretStr)]

    @model_validator(mode="after")
    def _check_selector(self) -> Self:
        lists: Mapping[str, tuple[str, list[str] | None]] = {
            "specific-agents": ("agents", self.agents),
            "agent-labels": ("endpoint_agent_labels", self.endpoint_agent_labels),
            "agent-tags": ("tag_ids", self.tag_ids),
        }
        for selector, (name, chosen) in lists.items():
            if selector == self.agent_selector_type and not chosen:
                raise ValueError(f"agent_selector_type {selector} needs {name}")
            if selector != self.agent_selector_type and chosen:
                raise ValueError(f"{name} needs agent_selector_type {selector}")
        return self


class AgentToServerTest(InstantTest):
    """A network test: loss, latency, jitter and the path to a server."""

    model_config = ConfigDict(title="One network test")

    type: Literal["agent-to-server"] = "agent-to-server"
    server: _Text = Field(min_length=1, description="The target's domain name or IP address.")
    port: int | None = Field(default=443, description="The target's TCP port.")
    server_name: str | None = Field(
        default=None, description="Deprecated by the vendor: use server."
    )


class HttpServerSettings(InstantTest):
    """An HTTP test without its password, which is kept in different places."""

    type: Literal["http-server"] = "http-server"
    url: _Text = Field(
        min_length=1,
        description="The address, with the port if it is not the usual one; https if not given.",
    )
    auth_type: AuthType | None = Field(
        default=None,
        description="How agents log in: none (the API's default), basic or ntlm.",
    )
    username: str | None = Field(default=None, description="basic and ntlm need it.")
    http_time_limit: int | None = Field(
        default=5000, description="Milliseconds until an agent gives up."
    )
    target_response_time: int | None = Field(
        default=1000, description="Milliseconds that are shown as good; colours only."
    )
    ssl_version_id: SslVersion | None = Field(
        default=None,
        description=(
            "'0' any (the API's default), '3' SSLv3, '4' TLS 1.0, '5' TLS 1.1, '6' TLS 1.2, "
            "'7' TLS 1.3."
        ),
    )
    verify_certificate: bool | None = Field(
        default=True, description="Whether a wrong certificate is an error."
    )
    network_measurements: bool | None = Field(
        default=True, description="Whether loss, latency and path are measured too."
    )
    protocol: Protocol | None = Field(
        default=None, description="How the network is measured; icmp is the API's default."
    )
    tcp_probe_mode: ProbeMode | None = Field(
        default=None,
        description="How TCP is probed (auto is the API's default); sack and syn need a protocol "
        "that uses TCP.",
    )
    has_path_trace_in_session: bool | None = Field(
        default=None, description="Whether the path is traced within a TCP session."
    )
    has_ping: bool | None = Field(
        default=True, description="Deprecated by the vendor: whether to ping."
    )
    has_traceroute: bool | None = Field(
        default=True, description="Deprecated by the vendor: whether to trace the route."
    )

    @model_validator(mode="after")
    def _check_probe_mode(self) -> Self:
        if self.tcp_probe_mode in ("sack", "syn") and self.protocol in (None, "icmp"):
            raise ValueError(
                f"tcp_probe_mode {self.tcp_probe_mode} needs a protocol that uses TCP, such as tcp"
            )
        return self

    def check_login(self, password: object, name: str) -> None:
        """Raise `ValueError` where login fields don't fit together.

        Args:
            password: The password, or what refers to it; None: there is none.
            name: The name of its field.
        """
        given = {"username": self.username, name: password}
        if self.auth_type in ("basic", "ntlm"):
            if missing := [field for field, value in given.items() if value is None]:
                raise ValueError(f"auth_type {self.auth_type} needs {' and '.join(missing)}")
        elif present := [field for field, value in given.items() if value is not None]:
            raise ValueError(f"{' and '.join(present)} needs auth_type basic or ntlm")


class HttpServerTest(HttpServerSettings):
    """An HTTP test: response code, times and, if wanted, the network below."""

    password: SecretStr | None = Field(default=None, description="basic and ntlm need it.")

    @model_validator(mode="after")
    def _check_login(self) -> Self:
        self.check_login(self.password, "password")
        return self


def _in_clear(value: object) -> object:
    return value.get_secret_value() if isinstance(value, SecretStr) else value
