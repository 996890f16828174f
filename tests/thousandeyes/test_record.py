from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.thousandeyes.steady import steady
from thousandeyes.delivery import Delivery, may_send_again
from thousandeyes.errors import (
    CallFailed,
    Forbidden,
    InvalidCall,
    NotFound,
    QuotaExhausted,
    Refused,
    ReplyLost,
    RunStopped,
    ServerError,
    TokenRefused,
    TooManyRequests,
    Unreachable,
)
from thousandeyes.judging import judge
from thousandeyes.outcomes import Outcome, VerdictName
from thousandeyes.record import Record
from thousandeyes.thresholds import Thresholds
from thousandeyes.verdict import Verdict


def verdict(name: VerdictName) -> Verdict:
    return replace(judge((), Thresholds(), expected=None, complete=True), name=name)


NOW = datetime(2026, 11, 23, 8, tzinfo=UTC)
REFUSALS: list[Refused] = [
    NotFound("404: no such test", 404),
    InvalidCall("400: no", 400),
    InvalidCall("302: a redirect", 302),
    TokenRefused("401: who", 401),
    Forbidden("403: no", 403),
    ServerError("500: sorry", 500),
]
SENT: list[CallFailed | str | None] = [
    "accepted",
    None,
    ReplyLost("sent, and no answer came back"),
    Unreachable("no connection"),
    TooManyRequests("429: slow down", 429),
    *REFUSALS,
]
UNSENT: list[CallFailed] = [QuotaExhausted("waited 600 s"), RunStopped("cancelled")]
events = st.lists(st.sampled_from([*SENT, *UNSENT]), max_size=8)


def goes_out(event: CallFailed | str | None) -> bool:
    return not isinstance(event, QuotaExhausted | RunStopped)


def play(record: Record, event: CallFailed | str | None) -> None:
    """Let happen to a record what the client tells it."""
    if goes_out(event):
        record.sending(NOW)
    if isinstance(event, CallFailed):
        record.failed(event)
    elif event == "accepted":
        record.accepted(200, "done")


@dataclass
class History:
    """The table of outcomes, read literally over all that happened."""

    events: list[CallFailed | str | None] = field(default_factory=list)

    def add(self, event: CallFailed | str | None) -> None:
        self.events.append(event)

    @property
    def outcome(self) -> Outcome:
        telling = [e for e in self.events if not self._tells_nothing_of_the_test(e)]
        if telling:  # the last answer, or the doubt with no answer since
            last = telling[-1]
            if isinstance(last, CallFailed):
                return last.outcome
            return Outcome.ACCEPTED if last else Outcome.UNKNOWN
        name, reached = Outcome.NOT_ATTEMPTED, False
        for event in self.events:
            if isinstance(event, TooManyRequests):
                name, reached = Outcome.NOT_ATTEMPTED, True  # it waits to be sent again
            elif isinstance(event, QuotaExhausted):
                name = Outcome.QUOTA_EXHAUSTED
            elif isinstance(event, Unreachable):
                name = Outcome.QUOTA_EXHAUSTED if reached else Outcome.UNREACHABLE
        return name

    @staticmethod
    def _tells_nothing_of_the_test(event: CallFailed | str | None) -> bool:
        return isinstance(event, TooManyRequests | Unreachable | QuotaExhausted | RunStopped)

    @property
    def maybe_duplicate(self) -> bool:
        """Whether a call that can have been carried out was sent while another was in doubt."""
        doubt = False
        for event in self.events:
            if self._tells_nothing_of_the_test(event):
                continue
            if doubt:
                return True
            doubt = event is None or (isinstance(event, CallFailed) and event.in_doubt)
        return False


class TestOutcomes:
    @given(events)
    @steady(400)
    def test_the_last_answer_names_it_and_a_doubt_with_no_answer_since_is_unknown(
        self, happened: list[CallFailed | str | None]
    ) -> None:
        record, history = Record("1"), History()
        for event in happened:
            play(record, event)
            history.add(event)
            assert record.maybe_duplicate == history.maybe_duplicate
            assert len(record.detail) < 200
            assert record.detail or record.outcome is Outcome.NOT_ATTEMPTED
        assert record.outcome is history.outcome
        assert record.attempts == sum(map(goes_out, happened))

    @given(events)
    @steady(200)
    def test_unreachable_means_that_no_attempt_ever_got_a_connection(
        self, happened: list[CallFailed | str | None]
    ) -> None:
        record = Record("1")
        for event in happened:
            play(record, event)
        if record.outcome is Outcome.UNREACHABLE:
            assert all(isinstance(e, Unreachable | QuotaExhausted | RunStopped) for e in happened)

    @given(st.lists(st.lists(st.sampled_from([*SENT, *UNSENT]), max_size=6), max_size=4))
    @steady(200)
    def test_at_most_once_never_sends_after_a_doubt_also_across_resumed_runs(
        self, runs: list[list[CallFailed | str | None]]
    ) -> None:
        record = Record("1")
        doubt = False
        for happened in runs:
            # What a resumed run knows is what a row holds.
            record = Record(
                "1",
                outcome=record.outcome,
                detail=record.detail,
                http_status=record.http_status,
                attempts=record.attempts,
                maybe_duplicate=record.maybe_duplicate,
            ).taken_up()
            if not record.needs_call(Delivery.AT_MOST_ONCE):
                continue
            for event in happened:
                if goes_out(event):
                    assert not doubt, "sent although it may have run"
                play(record, event)
                doubt |= event is None or (isinstance(event, CallFailed) and event.in_doubt)
                again = isinstance(event, CallFailed) and may_send_again(
                    event, Delivery.AT_MOST_ONCE
                )
                if not again and not isinstance(event, TooManyRequests):
                    break
        assert not record.maybe_duplicate

    def test_a_call_of_which_nothing_is_heard_is_unknown(self) -> None:
        record = Record("1")
        record.sending(NOW)
        assert record.outcome is Outcome.UNKNOWN
        assert record.begun
        assert record.started_at == NOW

    def test_a_test_reached_once_and_then_not_any_more_is_not_unreachable(self) -> None:
        record = Record("1")
        for event in (TooManyRequests("429: slow down", 429), Unreachable("no connection")):
            play(record, event)
        assert record.outcome is Outcome.QUOTA_EXHAUSTED
        assert record.detail == "429: slow down; then no connection"

    def test_a_resend_that_found_no_connection_makes_no_duplicate(self) -> None:
        record = Record("1")
        for event in (ReplyLost("sent, and no answer"), Unreachable("no connection")):
            play(record, event)
        assert record.outcome is Outcome.UNKNOWN
        assert record.detail == "sent, and no answer; then no connection"
        assert not record.maybe_duplicate
        play(record, "accepted")
        assert record.maybe_duplicate

    def test_why_it_was_not_sent_again_is_told_beside_what_stands(self) -> None:
        record = Record("1")
        for event in (ServerError("500: sorry", 500), QuotaExhausted("waited 600 s")):
            play(record, event)
        assert (record.outcome, record.http_status) == (Outcome.SERVER_ERROR, 500)
        assert record.detail == "500: sorry; then waited 600 s"

    def test_of_what_kept_it_from_being_sent_again_the_latest_is_told(self) -> None:
        record = Record("1")
        for event in (ServerError("500: sorry", 500), *[Unreachable("no connection")] * 2):
            play(record, event)
        record.failed(QuotaExhausted("waited 600 s"))
        assert record.detail == "500: sorry; then waited 600 s"

    def test_of_a_test_that_is_sent_again_the_first_start_and_the_first_end_count(self) -> None:
        record, later = Record("1"), NOW + timedelta(seconds=90)
        for at in (NOW, later):
            record.sending(at)
        assert record.started_at == NOW
        for at in (later, later + timedelta(minutes=5)):
            record.finished(at)
        assert (record.finished_at, record.seconds) == (later, 90)

    def test_an_end_before_the_start_took_no_time(self) -> None:
        assert Record("1", started_at=NOW, finished_at=NOW - timedelta(days=1)).seconds == 0

    def test_a_stopped_run_names_only_what_was_not_attempted(self) -> None:
        untouched, failed = Record("1"), Record("2")
        play(failed, Unreachable("no connection"))
        for record in (untouched, failed):
            record.failed(RunStopped("cancelled"))
        assert (untouched.outcome, untouched.detail) == (Outcome.NOT_ATTEMPTED, "cancelled")
        assert failed.outcome is Outcome.UNREACHABLE


class TestResults:
    def test_a_settled_doubt_is_accepted_and_tells_how_that_was_found_out(self) -> None:
        record = Record("1")
        play(record, ServerError("500: sorry", 500))
        record.settled(NOW)
        assert (record.outcome, record.http_status) == (Outcome.ACCEPTED, 500)
        assert record.detail == (
            "confirmed by its results: a new round began at 08:00 UTC; the call itself ended with: "
            "500: sorry"
        )

    @pytest.mark.parametrize("name", VerdictName)
    def test_what_was_measured_is_how_an_accepted_test_ended(self, name: VerdictName) -> None:
        record = Record("1", outcome=Outcome.ACCEPTED, detail="fine", verdict=verdict(name))
        assert (record.ending, record.why) == (name, "no agent answered")

    def test_a_verdict_says_nothing_of_a_test_that_is_in_doubt(self) -> None:
        record = Record("1", outcome=Outcome.UNKNOWN, verdict=verdict(VerdictName.PASSED))
        assert record.ending is Outcome.UNKNOWN

    def test_what_is_known_of_paths_stays_as_long_as_the_verdict_does(self) -> None:
        record = Record("1", outcome=Outcome.ACCEPTED)
        record.judged(verdict(VerdictName.FAILED))
        record.traced("The path of a ends at hop 2")
        record.judged(verdict(VerdictName.FAILED))
        assert record.paths
        record.judged(verdict(VerdictName.PASSED))
        assert record.paths is None

    @pytest.mark.parametrize("outcome", Outcome)
    def test_without_a_verdict_its_outcome_is(self, outcome: Outcome) -> None:
        record = Record("1", outcome=outcome, detail="why")
        assert (record.ending, record.why) == (outcome, "why")

    def test_what_is_sent_again_notes_its_rounds_anew(self) -> None:
        assert Record("1", rounds_after=60).taken_up().rounds_after is None


class TestGoingOn:
    @pytest.mark.parametrize("outcome", Outcome)
    def test_a_resumed_run_sends_what_may_change(self, outcome: Outcome) -> None:
        record = Record("1", outcome=outcome)
        doubt = outcome in (Outcome.UNKNOWN, Outcome.SERVER_ERROR)
        kept = outcome in (Outcome.ACCEPTED, Outcome.NOT_FOUND, Outcome.INVALID, Outcome.SKIPPED)
        assert record.needs_call(Delivery.AT_LEAST_ONCE) == (not kept)
        assert record.needs_call(Delivery.AT_MOST_ONCE) == (not kept and not doubt)

    def test_attempts_and_doubts_carry_over_and_waits_do_not(self) -> None:
        record = Record(
            "1", attempts=3, maybe_duplicate=True, quota_wait_seconds=9, finished_at=NOW
        )
        taken = record.taken_up()
        assert (taken.attempts, taken.maybe_duplicate) == (3, True)
        assert (taken.quota_wait_seconds, taken.finished_at) == (0, None)

    def test_what_is_sent_again_starts_anew_and_what_is_not_keeps_its_start(self) -> None:
        record = Record("1")
        record.sending(NOW)
        record.failed(Forbidden("no", status=403))
        assert record.taken_up().started_at == NOW
        later = NOW + timedelta(hours=7)
        record.sending(later)
        record.failed(ServerError("busy", status=503))
        record.sending(later + timedelta(seconds=9))
        record.accepted(200, "fine")
        record.finished(later + timedelta(seconds=10))
        assert (record.started_at, record.seconds) == (later, 10)


class TestTakenBack:
    def test_a_call_that_did_not_go_out_leaves_a_test_as_it_was(self) -> None:
        record = Record("1")
        record.sending(NOW)
        record.not_sent("could not be recorded")
        assert (record.outcome, record.attempts) == (Outcome.NOT_ATTEMPTED, 0)
        assert record.detail == "could not be recorded"
        assert (record.begun, record.started_at) == (False, None)

    def test_the_doubt_of_an_earlier_call_stays(self) -> None:
        record = Record("1")
        record.sending(NOW)
        record.failed(ReplyLost("no answer"))
        record.sending(NOW)
        record.not_sent("could not be recorded")
        assert (record.outcome, record.attempts) == (Outcome.UNKNOWN, 1)
        assert (record.detail, record.maybe_duplicate) == ("no answer", False)
        assert (record.begun, record.started_at) == (True, NOW)
