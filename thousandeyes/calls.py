"""One call of the API, and the words for what went wrong with it."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from thousandeyes.gate import Spends
from thousandeyes.redaction import Redactor
from thousandeyes.replies import LONGEST_PROBLEM
from thousandeyes.text import cut

BeforeSending = Callable[[], Awaitable[None]]
"""Awaited right before a call goes out."""
BeforeWaiting = Callable[[], Awaitable[None]]
"""Awaited before each wait to send a call again."""


@dataclass(frozen=True)
class Call:
    """One call of the API, and the quota families that it spends.

    `redact` removes the secrets of the call's body from the reply. `only_reads` says that the call
    changes nothing, so that nothing is in doubt if its reply is lost.
    """

    method: str
    path: str
    spends: Spends
    aid: str | None
    params: Mapping[str, str] = field(default_factory=dict)
    body: Mapping[str, Any] | None = field(default=None, repr=False)
    redact: Redactor = field(default_factory=Redactor, repr=False)
    only_reads: bool = False


def reason(error: Exception, *redactors: Redactor) -> str:
    """Return what the HTTP library says about a failure, without secrets and fit for a log."""
    text = str(error)
    for redact in redactors:
        text = redact(text)
    text = cut(text, LONGEST_PROBLEM)
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
