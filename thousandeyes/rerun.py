"""What becomes of one test: from asked for, over its attempts, to the outcome that names it."""

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Final, Self

from thousandeyes.errors import (
    CallFailed,
    Outcome,
    Refused,
    ReplyLost,
    RunStopped,
    TooManyRequests,
    Unreachable,
)
from thousandeyes.verdict import WORST_TOLD, Verdict, VerdictName

Ending = Outcome | VerdictName
"""What a reader needs to know of a test: what was measured, else what became of the call."""

GOOD: Final = frozenset({Outcome.ACCEPTED, Outcome.SKIPPED, VerdictName.PASSED})
"""Endings that need nobody's attention."""

KEPT = frozenset({Outcome.ACCEPTED, Outcome.NOT_FOUND, Outcome.INVALID, Outcome.SKIPPED})
"""Outcomes that another try would not change."""

NO_ANSWER = frozenset({Outcome.NOT_ATTEMPTED, Outcome.UNREACHABLE, Outcome.QUOTA_EXHAUSTED})
"""Outcomes of which the API knows nothing."""

_THEN = "; then "


class Delivery(StrEnum):
    """What may be sent again when it can't be told whether a call was carried out."""

    AT_LEAST_ONCE = "at_least_once"
    """Sent again: the test certainly ran, now and then twice."""
    AT_MOST_ONCE = "at_most_once"
    """Not sent again: the test never runs twice, and now and then it stays unknown."""


def may_send_again(error: CallFailed, delivery: Delivery) -> bool:
    """Tell whether a failed call may be sent once more under this promise."""
    return error.may_pass and not (error.in_doubt and delivery is Delivery.AT_MOST_ONCE)


@dataclass
class Rerun:
    """One test of a run and all that is known of it; flat, since it is also a table's row.

    `attempts` counts the calls that went out, those refused with 429 included.
    `maybe_duplicate` tells that a call was sent again after a doubt, and not refused with 429, so
    that the test may have run twice. `http_status` is the last answer's, a 429 included.
    `quota_wait_seconds` is all its waiting in the quota gate. Times are UTC. `rounds_after` is in
    epoch seconds of the server's clock: a round with a later ID began after the first call went
    out; None where that was not found out before. `app_link` leads to the test's results in the
    ThousandEyes app. `begun` tells whether a call went out in this run; attempts of the run that it
    goes on from are not.
    """

    test_id: str
    test_name: str = ""
    outcome: Outcome = Outcome.NOT_ATTEMPTED
    detail: str = ""
    http_status: int | None = None
    attempts: int = 0
    maybe_duplicate: bool = False
    quota_wait_seconds: float = 0.0
    started_at: datetime | None = None
    finished_at: datetime | None = None
    aid: str | None = None
    verdict: Verdict | None = None
    app_link: str | None = None
    rounds_after: int | None = None
    begun: bool = field(default=False, init=False, compare=False)
    _before: tuple[Outcome, str, bool] = field(
        default=(Outcome.NOT_ATTEMPTED, "", False), init=False, repr=False, compare=False
    )

    def needs_call(self, delivery: Delivery) -> bool:
        """Tell whether a run that goes on from here sends this test."""
        return self.outcome not in KEPT and not self.needs_settling(delivery)

    def needs_settling(self, delivery: Delivery) -> bool:
        """Tell whether it may have run and must not run twice, so that its results are to tell."""
        return self.in_doubt and delivery is Delivery.AT_MOST_ONCE

    def taken_up(self) -> Self:
        """Make ready for this run: attempts and doubts stay, waits and rounds do not."""
        self.finished_at, self.quota_wait_seconds = None, 0.0
        self.rounds_after = None
        return self

    @property
    def in_doubt(self) -> bool:
        """Whether the last that was heard leaves open that the test ran."""
        return self.outcome in (Outcome.UNKNOWN, Outcome.SERVER_ERROR)

    @property
    def ending(self) -> Ending:
        """What the laptops measured, if that is known, else what became of the call."""
        if self.verdict and self.outcome is Outcome.ACCEPTED:
            return self.verdict.name
        return self.outcome

    @property
    def why(self) -> str:
        """One line for a person on how it ended."""
        if self.verdict is None or self.ending is self.outcome:
            return self.detail
        sentence = self.verdict.sentence.removeprefix(f"{self.verdict.name}: ")
        failed = self.verdict.agents_answered - self.verdict.agents_passed
        if failed <= WORST_TOLD:
            return sentence
        return f"{sentence}. All that failed: {self.verdict.agents_failed}"

    def settled(self, began: datetime) -> None:
        """Note that a round is in the test's results which only this rerun can have produced."""
        self.outcome = Outcome.ACCEPTED
        self.detail = (
            f"found out by its results: a round that began at {began:%H:%M} UTC is newer than any "
            f"before the call; its answer was: {self.detail}"
        )

    def sending(self, at: datetime) -> None:
        """Note that a call goes out now: unless more is heard of it, the outcome is unknown."""
        self._before = self.outcome, self.detail, self.maybe_duplicate
        self.maybe_duplicate = self.maybe_duplicate or self.in_doubt
        self.attempts += 1
        self.begun = True
        self.started_at = self.started_at or at
        self.outcome, self.detail = Outcome.UNKNOWN, "the call went out and nothing was heard of it"

    def not_sent(self, reason: str) -> None:
        """Take `sending` back: the call did not go out after all."""
        self.outcome, self.detail, self.maybe_duplicate = self._before
        self.attempts -= 1
        if self.outcome is Outcome.NOT_ATTEMPTED:
            self.detail = reason

    def skipped(self, reason: str) -> None:
        """Note that the test is left out on purpose."""
        self.outcome, self.detail = Outcome.SKIPPED, reason

    def accepted(self, status: int, message: str) -> None:
        """Note a success."""
        self.outcome, self.http_status, self.detail = Outcome.ACCEPTED, status, message

    def failed(self, error: CallFailed) -> None:
        """Note an error. The last answer names the outcome.

        An error that is no answer (no connection, or no call at all) overrules neither an
        earlier answer nor the doubt that an earlier attempt left. A 429 tells of itself alone.
        """
        if isinstance(error, Unreachable | TooManyRequests):  # it was not carried out
            self.outcome, self.detail, self.maybe_duplicate = self._before
        if isinstance(error, Refused):
            self.http_status = error.status
        stands = self.outcome not in NO_ANSWER
        if isinstance(error, TooManyRequests):
            if not stands:
                self.outcome, self.detail = Outcome.NOT_ATTEMPTED, str(error)
            return
        if isinstance(error, RunStopped):
            stands = self.outcome is not Outcome.NOT_ATTEMPTED
        elif isinstance(error, Unreachable) and self.http_status and not stands:
            # An attempt did get a connection, and its answer was 429.
            self.outcome, stands = Outcome.QUOTA_EXHAUSTED, True
        if stands and not isinstance(error, Refused | ReplyLost):
            self.detail = f"{self.detail.partition(_THEN)[0]}{_THEN}{error}"
        else:
            self.outcome, self.detail = error.outcome, str(error)
