"""One call of the API, and the words for what went wrong with it."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from thousandeyes.gate import Spends
from thousandeyes.redaction import Redactor
from thousandeyes.replies import LONGEST_PROBLEM
from thousandeyes.text import cut

BeforeSending = Callable[[], Awaitable[None]]
"""Is awaited right before a call goes out."""


@dataclass(frozen=True)
class Call:
    """One call of the API, and the families that it spends.

    `redact` takes the secrets that its body holds out of what is read of the reply. `only_reads`
    tells that it changes nothing, so that to lose its reply costs a look and no more.
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
    """Return what the HTTP library says of a failure, without secrets and fit for a log."""
    text = str(error)
    for redact in redactors:
        text = redact(text)
    text = cut(text, LONGEST_PROBLEM)
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
