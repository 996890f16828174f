"""One call of the API, and what is kept of it while it is under way."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

from thousandeyes.errors import CallFailed
from thousandeyes.gate import Spends
from thousandeyes.redaction import Redactor
from thousandeyes.replies import LONGEST_PROBLEM
from thousandeyes.text import cut


@dataclass(frozen=True)
class Call:
    """One call of the API, and the families that it spends.

    `redact` takes the secrets that its body holds out of what is read of the reply.
    """

    method: str
    path: str
    spends: Spends
    aid: str | None
    params: Mapping[str, str] = field(default_factory=dict)
    body: Mapping[str, Any] | None = field(default=None, repr=False)
    redact: Redactor = field(default_factory=Redactor, repr=False)


class CallRecord(Protocol):
    """What a call keeps up to date: `Record` is one."""

    begun: bool
    quota_wait_seconds: float

    def waited(self, seconds: float) -> None:
        """Add time that the call spent in the quota gate."""

    def sending(self, at: datetime) -> None:
        """Note that the call goes out now."""

    def failed(self, error: CallFailed) -> None:
        """Note an error."""


@dataclass
class Reading:
    """The record of a call that only reads: nothing of it outlives the call."""

    begun: bool = False
    quota_wait_seconds: float = 0.0

    def waited(self, seconds: float) -> None:
        """Add time that the call spent in the quota gate."""
        self.quota_wait_seconds += seconds

    def sending(self, at: datetime) -> None:  # noqa: ARG002 - a record may need the time
        """Note that the call goes out now."""
        self.begun = True

    def failed(self, error: CallFailed) -> None:
        """Note nothing: the caller is raised the error."""


def reason(error: Exception, *redactors: Redactor) -> str:
    """Return what the HTTP library says of a failure, without secrets and fit for a log."""
    text = str(error)
    for redact in redactors:
        text = redact(text)
    text = cut(text, LONGEST_PROBLEM)
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
