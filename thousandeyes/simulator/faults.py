"""How run calls, creations, result calls and agents can be made to misbehave."""

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

Misbehaviour = Literal[
    "dropped_before",
    "dropped_after",
    "stalled",
    "half_body",
    "html",
    "plain_text",
    "empty",
    "no_message",
    "echo",
]
Status = Annotated[int, Field(ge=200, le=599)]
Reply = Status | Misbehaviour

ResultReply = Status | Literal["dropped", "stalled", "half_body", "html", "empty"]
"""The reply to a result call; 200 is the usual one, and words mean the same as in a `Fault`."""
PathEnd = Literal["gateway", "vpn_gateway", "on_the_way"]
HttpError = Literal["connect", "dns", "http", "receive", "send", "ssl"]

_APPLIED: frozenset[Reply] = frozenset(
    {"dropped_after", "stalled", "half_body", "plain_text", "empty", "no_message"}
)


class Fault(BaseModel):
    """The replies to one test's run calls, or creations, instead of the usual one: one per call.

    An entry is an HTTP status, or one of:

    - `dropped_before`, `dropped_after`: the connection is closed with no reply, before or after
      the run is applied;
    - `stalled`: applied, and no reply ever comes;
    - `half_body`: applied, then headers and half of the announced body, then closed;
    - `html`: a proxy's page with status 200, not applied;
    - `plain_text`, `empty`, `no_message`: applied, status 200, with a body of that kind (the
      API's earlier version sent an empty one, and 7.0.85 requires no `message`);
    - `echo`: a 400 that repeats the caller's token in its detail, its field errors and a header,
      and the body that was sent in its field errors.

    Statuses of 200 to 299 are applied, all others are not.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    replies: list[Reply] = Field(
        default_factory=list, description="One entry per run call; afterwards the test is healthy."
    )
    repeat: bool = Field(default=False, description="The last entry is repeated forever.")
    latency_seconds: float = Field(
        default=0.0, ge=0, description="Added to every run call of this test."
    )

    def reply_to(self, call: int) -> Reply | None:
        """Return the reply to run call number `call`, counted from 0; None for the usual one."""
        if call < len(self.replies):
            return self.replies[call]
        return self.replies[-1] if self.repeat and self.replies else None


class FaultPlan:
    """Which fault each test has, and how much of it run calls have used up."""

    def __init__(self, faults: Mapping[str, Fault]) -> None:
        self._faults = dict(faults)
        self._calls: Counter[str] = Counter()

    def take(self, test_id: str) -> tuple[Reply | None, float]:
        """Return the reply to this test's next run call and its latency in seconds."""
        fault = self._faults.get(test_id)
        if fault is None:
            return None, 0.0
        call, self._calls[test_id] = self._calls[test_id], self._calls[test_id] + 1
        return fault.reply_to(call), fault.latency_seconds

    def coming(self, test_id: str) -> Reply | None:
        """Return what the next run call of this test will get, without using it up."""
        fault = self._faults.get(test_id)
        return fault.reply_to(self._calls[test_id]) if fault else None


class Behaviour(BaseModel):
    """What some agents do differently from usual, in every round of a test."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    agents: list[Annotated[int, Field(ge=0)]] | None = Field(
        default=None, description="Their indexes among agents that run the test; None: all."
    )
    answers: Literal["once", "twice", "never"] = Field(
        default="once", description="Rows in a round; two have different measurements."
    )
    late_seconds: float = Field(default=0.0, ge=0, description="Delay of the agents' rows.")
    http_late_seconds: float = Field(
        default=0.0, ge=0, description="Further delay of the agents' HTTP rows."
    )
    icmp_blocked: bool = Field(default=False, description="Network rows measure nothing.")
    loss: float | None = Field(default=None, ge=0, le=100, description="Percent.")
    latency_ms: float | None = Field(default=None, ge=0, description="Average, in milliseconds.")
    error_type: HttpError | None = Field(default=None, description="How HTTP fails.")
    response_code: int | None = Field(
        default=None, ge=100, le=599, description="The status in HTTP rows; an error from 400 on."
    )
    path_ends: PathEnd = Field(
        default="gateway", description="The last hop that lost packets reach; gateway if no VPN."
    )


class ResultFaults:
    """The replies to the next result calls, one per call; afterwards they are as usual."""

    def __init__(self, replies: Iterable[ResultReply]) -> None:
        self._replies = iter(replies)

    def take(self) -> ResultReply:
        """Return the reply to the next result call."""
        return next(self._replies, 200)


def is_applied(reply: Reply | None) -> bool:
    """Tell whether a run call with this reply makes the test run."""
    if isinstance(reply, int):
        return 200 <= reply <= 299  # noqa: PLR2004  the range is the definition of success
    return reply is None or reply in _APPLIED
