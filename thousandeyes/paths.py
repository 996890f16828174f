"""The path of an agent's packets to a target in one round, as the API reports it.

A path holds one or more traces, each a list of hops. The API gives a hop's address and response
time, but no loss: that shows only when some of the traces don't reach the target. How the API shows
a hop that did not answer is not documented; here it is one without an address, or one that is left
out. Every field may be missing, and a field that holds something unexpected counts as missing. Who
uses the laptop is never read.

Source: the vendor's OpenAPI description 7.0.85 (`PathVisDetailEndpointTestResult`).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Annotated, Any, Final, NamedTuple

from pydantic import AliasPath, ConfigDict, Field, ValidationError

from thousandeyes.missing import NO_FLAG, Lenient
from thousandeyes.rounds import Number, Text

_MOST_TRACES: Final = 20
_MOST_HOPS: Final = 255  # a packet can't go further
_LONGEST_ADDRESS: Final = 60


class Hop(NamedTuple):
    """A hop that answered."""

    number: int
    address: str
    response_ms: float | None


class Trace(NamedTuple):
    """The hops that answered, each number once and in order; `length` is the last hop's number."""

    hops: tuple[Hop, ...]
    length: int


@dataclass(frozen=True)
class Path:
    """What is known of the path of one agent's round; an unknown address is empty."""

    traces: tuple[Trace, ...]
    target: str = ""
    gateway: str = ""
    vpn_gateway: str = ""
    vpn_traces: tuple[Trace, ...] = ()
    """The way to the VPN's gateway, outside the tunnel."""


_List = list[Any] | None


class _Row(Lenient):
    model_config = ConfigDict(coerce_numbers_to_str=True)

    agent_id: Text = Field(default=None, validation_alias="agentId")
    round_id: Text = Field(default=None, validation_alias="roundId")
    server_ip: Text = Field(default=None, validation_alias="serverIp")
    gateway: Text = Field(default=None, validation_alias=AliasPath("networkProfile", "gateway"))
    vpn_gateway: Text = Field(
        default=None, validation_alias=AliasPath("vpnProfile", "vpnGatewayAddress")
    )
    traces: _List = Field(default=None, validation_alias="pathTraces")
    vpn_traces: _List = Field(default=None, validation_alias="vpnPathTraces")


class _Hop(Lenient):
    model_config = ConfigDict(coerce_numbers_to_str=True)

    number: Annotated[Annotated[int, Field(ge=0, le=_MOST_HOPS)] | None, NO_FLAG] = Field(
        default=None, validation_alias="hop"
    )
    address: Text = Field(default=None, validation_alias="ipAddress")
    response_ms: Number = Field(default=None, validation_alias="responseTime")


def path_of(reply: object, agent_id: str, round_id: int) -> Path | None:
    """Return the path in a reply; None if the reply holds none of this agent and round.

    Args:
        reply: The reply's JSON.
        agent_id: The agent that was asked for; a row that names no agent counts as this one's.
        round_id: The round that was asked for, likewise.
    """
    items = reply.get("results") if isinstance(reply, dict) else None
    rows = [
        row
        for row in map(_row, items if isinstance(items, list) else ())
        if row and row.agent_id in (None, agent_id) and row.round_id in (None, str(round_id))
    ]
    # If the agent ran the test twice in the round, nothing says which path belongs to which run.
    traces = tuple(trace for row in rows for trace in _traces(row.traces))[:_MOST_TRACES]
    if not traces:
        return None
    return Path(
        traces,
        _address(rows[0].server_ip),
        _address(rows[0].gateway),
        _address(rows[0].vpn_gateway),
        tuple(trace for row in rows for trace in _traces(row.vpn_traces))[:_MOST_TRACES],
    )


def _row(item: object) -> _Row | None:
    try:
        return _Row.model_validate(item)
    except ValidationError:
        return None


def _traces(items: list[Any] | None) -> Iterator[Trace]:
    for item in (items or ())[:_MOST_TRACES]:
        hops = item.get("hops") if isinstance(item, dict) else None
        if isinstance(hops, list) and (trace := _trace(hops)).length:
            yield trace


def _trace(items: list[Any]) -> Trace:
    hops: dict[int, Hop] = {}
    length = 0
    for item in items[: 10 * _MOST_HOPS]:
        try:
            told = _Hop.model_validate(item)
        except ValidationError:
            continue
        if told.number is None:
            continue
        length = max(length, told.number)
        if address := _address(told.address):
            hops.setdefault(told.number, Hop(told.number, address, told.response_ms))
    return Trace(tuple(hops[number] for number in sorted(hops)), length)


def _address(text: str | None) -> str:
    """Return an address in its usual spelling; empty if it is not an address, or is unspecified."""
    try:
        address = ip_address((text or "")[:_LONGEST_ADDRESS].strip().partition("%")[0])
    except ValueError:
        return ""
    return "" if address.is_unspecified else str(address)
