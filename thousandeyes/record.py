"""The record of one test: what a run learns about it, from the first call to the verdict."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Self

from thousandeyes.delivery import Delivery
from thousandeyes.errors import (
    CallFailed,
    Refused,
    ReplyLost,
    RunStopped,
    TooManyRequests,
    Unreachable,
)
from thousandeyes.outcomes import IN_DOUBT, KEPT, UNHEARD, Ending, Outcome
from thousandeyes.standing import Standing
from thousandeyes.text import cut
from thousandeyes.verdict import Verdict

LONGEST_NAME = 100


@dataclass(slots=True)
class Record:
    """One test of a run and all that is known of it; flat, because it is also a table's row.

    Anybody may read the fields; only the methods change them.

    `attempts` counts the calls that went out, including those refused with 429. `maybe_duplicate`
    says that a call was sent again although the call before may have been carried out, and was not
    refused with 429, so that the test may have run twice. `http_status` is that of the last answer,
    429 included. `quota_wait_seconds` is the total wait in the quota gate. Times are UTC. A round
    with an ID above `rounds_after` (the server's epoch seconds) began after the first call that may
    have been carried out; None if that isn't known. `app_link` leads to the results in the
    ThousandEyes app. `begun` says whether this attempt of a run sent a call. `standing` compares
    the test with an earlier run, `paths` says where the paths of failing agents end.
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
    standing: Standing | None = None
    paths: str | None = None
    begun: bool = field(default=False, init=False, compare=False)
    _heard: str = field(default="", init=False, repr=False, compare=False)
    """The detail, without what came after the last answer."""
    _before: tuple[Outcome, str, str, bool] = field(init=False, repr=False, compare=False)
    """The state before a call, in case the call turns out not to count; see `_restore`."""
    _begun_before: tuple[bool, datetime | None] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        self._heard = self.detail
        self._before, self._begun_before = (Outcome.NOT_ATTEMPTED, "", "", False), (False, None)

    # What a reader wants to know.

    @property
    def in_doubt(self) -> bool:
        """Whether the test may have run, as far as the last answer shows."""
        return self.outcome in IN_DOUBT

    def needs_call(self, delivery: Delivery) -> bool:
        """Tell whether a run that continues from here sends this test."""
        return self.outcome not in KEPT and not self.needs_settling(delivery)

    def needs_settling(self, delivery: Delivery) -> bool:
        """Tell whether it may have run and must not run twice, so that its results must decide."""
        return self.in_doubt and delivery is Delivery.AT_MOST_ONCE

    @property
    def ending(self) -> Ending:
        """What the laptops measured, if that is known, else what became of the call."""
        return self._judged.name if self._judged else self.outcome

    @property
    def _judged(self) -> Verdict | None:
        return self.verdict if self.outcome is Outcome.ACCEPTED else None

    @property
    def seconds(self) -> float:
        """The time from its first call until the run was done with it; 0 if it isn't known."""
        if self.started_at is None or self.finished_at is None:
            return 0.0
        # The start may be from an earlier attempt of the run, and the end from this one.
        return max(0.0, (self.finished_at - self.started_at).total_seconds())

    @property
    def is_provisional(self) -> bool:
        """Whether answers that may still come can change the verdict."""
        return self.verdict is not None and self.verdict.provisional

    @property
    def why(self) -> str:
        """One line for people on how it ended."""
        return f"{self.reason}. All that failed: {self.laptops}" if self.laptops else self.reason

    @property
    def reason(self) -> str:
        """Why it ended so, with the worst laptops."""
        return self._judged.reason if self._judged else self.detail

    @property
    def laptops(self) -> str:
        """The names of all laptops that failed, if the reason does not name them all."""
        return self._judged.all_that_failed if self._judged else ""

    # What is known of the test before its call.

    def named(self, test_name: str) -> None:
        """Note the test's name."""
        self.test_name = cut(test_name, LONGEST_NAME)

    def belongs_to(self, aid: str | None) -> None:
        """Note the test's account group; None means the credentials' own."""
        self.aid = aid

    def taken_up(self) -> Self:
        """Prepare the record for this run: attempts and doubts stay, waits and rounds do not."""
        self.finished_at, self.quota_wait_seconds = None, 0.0
        self.rounds_after, self.begun = None, False
        return self

    def rounds_count_after(self, round_id: int) -> None:
        """Note after which round the test's rounds can be this run's."""
        self.rounds_after = round_id

    def skipped(self, reason: str) -> None:
        """Note that the test is left out on purpose."""
        self._ends(Outcome.SKIPPED, reason)

    def exists(self, test_id: str, reason: str) -> None:
        """Note that the test needn't be created, because it already exists under this ID."""
        self.test_id = test_id
        self.skipped(reason)

    def left_in_doubt(self, reason: str) -> None:
        """Note that a call went out earlier, and that nobody knows what became of it."""
        self._ends(Outcome.UNKNOWN, reason)

    # What becomes of its calls.

    def waited(self, seconds: float) -> None:
        """Add time that a call spent in the quota gate."""
        self.quota_wait_seconds += seconds

    def sending(self, at: datetime) -> None:
        """Note that a call goes out now: until an answer comes, the outcome is unknown."""
        self._before = self.outcome, self.detail, self._heard, self.maybe_duplicate
        self._begun_before = self.begun, self.started_at
        self.maybe_duplicate = self.maybe_duplicate or self.in_doubt
        self.started_at = self.started_at if self.begun else at  # new in each run, like rounds
        self.attempts, self.begun = self.attempts + 1, True
        self._ends(Outcome.UNKNOWN, "the call went out, but no answer was recorded")

    def not_sent(self, reason: str) -> None:
        """Take `sending` back: the call did not go out after all."""
        self._restore()
        self.begun, self.started_at = self._begun_before
        self.attempts -= 1
        if self.outcome is Outcome.NOT_ATTEMPTED:
            self._ends(Outcome.NOT_ATTEMPTED, reason)

    def accepted(self, status: int, message: str) -> None:
        """Note a success."""
        self.http_status = status
        self._ends(Outcome.ACCEPTED, message)

    def created(self, test_id: str, status: int) -> None:
        """Note that the API created the test, which also ran it, and gave it this ID."""
        self.test_id = test_id
        self.accepted(status, "created, and run once")

    def failed(self, error: CallFailed) -> None:
        """Note an error. The last answer names the outcome.

        An error that is not an answer (no connection, or no call at all) overrules neither an
        earlier answer nor the doubt that an earlier attempt left. A 429 says only that it came.
        """
        if isinstance(error, Unreachable | TooManyRequests):  # it was not carried out
            self._restore()
        if isinstance(error, Refused):
            self.http_status = error.status
        stands = self.outcome not in UNHEARD
        if isinstance(error, TooManyRequests):
            if not stands:
                self._ends(Outcome.NOT_ATTEMPTED, str(error))
            return
        if isinstance(error, RunStopped):
            stands = self.outcome is not Outcome.NOT_ATTEMPTED
        elif isinstance(error, Unreachable) and self.http_status and not stands:
            # An attempt did get a connection, and its answer was 429.
            self.outcome, stands = Outcome.QUOTA_EXHAUSTED, True
        if stands and not isinstance(error, Refused | ReplyLost):
            self.detail = f"{self._heard}; then {error}"
        else:
            self._ends(error.outcome, str(error))

    def noted(self, words: str) -> None:
        """Add to the detail what else people should know."""
        self.detail = f"{self.detail}; {words}" if self.detail else words

    def finished(self, at: datetime) -> None:
        """Note when the run was done with it; the first time counts."""
        self.finished_at = self.finished_at or at

    # What its results show.

    def settled(self, began: datetime) -> None:
        """Note that the test's results hold a round that only this run can have caused."""
        self._ends(
            Outcome.ACCEPTED,
            f"confirmed by its results: a new round began at {began:%H:%M} UTC; the call itself "
            f"ended with: {self.detail}",
        )

    def judged(self, verdict: Verdict) -> None:
        """Note the verdict on the results; a verdict that changed drops what was said of paths."""
        if verdict != self.verdict:
            self.paths = None
        self.verdict = verdict

    def traced(self, paths: str) -> None:
        """Note, in words, where the paths of agents that failed end."""
        self.paths = paths

    def stands(self, standing: Standing) -> None:
        """Note how the test compares with an earlier run."""
        self.standing = standing

    def linked(self, url: str) -> None:
        """Note where the ThousandEyes app shows the results."""
        self.app_link = url

    def _ends(self, outcome: Outcome, detail: str) -> None:
        self.outcome, self.detail, self._heard = outcome, detail, detail

    def _restore(self) -> None:
        self.outcome, self.detail, self._heard, self.maybe_duplicate = self._before
