"""What the results of one test come to for its record: a doubt settled, a link, a verdict."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from flows.rerun.baseline import Baseline
from flows.rerun.options import RerunOptions
from flows.runs.sending import Logger
from thousandeyes.app_links import app_link
from thousandeyes.client import ThousandEyesClient
from thousandeyes.judging import judge
from thousandeyes.outcomes import UNANSWERED, VerdictName
from thousandeyes.record import Record
from thousandeyes.results import Kind
from thousandeyes.rounds import HttpRound
from thousandeyes.text import counted
from thousandeyes.thresholds import Thresholds
from thousandeyes.verdict import Verdict
from thousandeyes.verdict_words import agents_isolated
from thousandeyes.watch import AwaitedTest


@dataclass(frozen=True)
class Judging:
    """Brings records up to date by what was read of their tests.

    Args:
        client: The run's client.
        options: How the run goes about its results.
        thresholds: What the results of a test must keep to, by its ID; else the options'.
        baseline: What was known before anything was sent.
        logger: Where the person on call looks.
    """

    client: ThousandEyesClient
    options: RerunOptions
    thresholds: Mapping[str, Thresholds]
    baseline: Baseline
    logger: Logger

    def settle(self, record: Record, watched: AwaitedTest, trouble: str = "") -> None:
        """Note whether a test that is in doubt has run.

        Args:
            record: The test.
            watched: What was read.
            trouble: What kept its results from being read to the end, if anything did.
        """
        if rows := watched.rows:
            record.settled(datetime.fromtimestamp(min(row.round_id for row in rows), UTC))
        elif trouble:
            record.noted(f"its results can't be read: {trouble}")
        elif watched.has_later_rounds:
            theirs = "all new rounds in its results may be another run's"
            record.noted(f"{theirs}, and it may still have run")
        else:
            longest = counted(self.options.results_deadline_minutes, "minute")
            record.noted(f"no results appeared within {longest}; it may still have run")
        self.logger.info("Test %s: %s, %s", record.test_id, record.outcome, record.detail)

    def link(self, record: Record, watched: AwaitedTest | None = None) -> None:
        """Link to what is known of the test, unless that isn't wanted."""
        if not self.options.link_to_app:
            return
        rows = watched.rows if watched else []
        has_http = any(isinstance(row, HttpRound) for row in rows)
        record.linked(
            app_link(
                record.test_id,
                app=self.client.settings.app,
                kind=Kind.HTTP_SERVER if has_http else Kind.NETWORK,
                aid=record.aid or self.client.settings.aid,
                round_id=max((row.round_id for row in rows), default=None),
            )
        )

    def judge(self, record: Record, watched: AwaitedTest, trouble: str = "") -> None:
        """Note the verdict on a test; the arguments are those of `settle`."""
        verdict = self.verdict_on(
            record,
            watched,
            complete=watched.complete,
            too_early=not trouble and self.baseline.is_too_early(record),
            read_to_the_end=not trouble,
        )
        if trouble:
            why = f"no results could be read: {trouble}"  # whether anybody answered isn't known
            if watched.rows:
                unread = f"provisional: the results could not be read to the end: {trouble}"
                why = f"{verdict.reason}; {unread}"
            unknown = verdict.name in UNANSWERED
            expected = watched.agents_expected
            verdict = replace(
                verdict, reason=why, agents_expected=expected, provisional=True, unread=unknown
            )
        self.take(record, verdict)

    def verdict_on(
        self,
        record: Record,
        watched: AwaitedTest,
        *,
        complete: bool,
        too_early: bool,
        read_to_the_end: bool = True,
    ) -> Verdict:
        """Return the verdict on a test; `thousandeyes.judging.judge` explains most flags.

        Of results that were not read to the end, it doesn't say that others did not answer.
        """
        named = self.options.name_laptops_and_networks
        return judge(
            watched.rows,
            self.thresholds.get(record.test_id, self.options.thresholds),
            expected=watched.agents_expected if read_to_the_end else None,
            complete=complete,
            too_early=too_early,
            is_http=watched.is_http,
            agent_names=self.baseline.agent_names if named else {},
        )

    def take(self, record: Record, verdict: Verdict) -> None:
        """Note a verdict, and log it."""
        record.judged(verdict)
        log = self.logger.info if verdict.name is VerdictName.PASSED else self.logger.warning
        log("Test %s: %s", record.test_id, agents_isolated(verdict.sentence, verdict))


def judged_otherwise(
    records: Iterable[Record], of_groups: Mapping[str, Thresholds], of_the_run: Thresholds
) -> str:
    """Return how many tests were not judged by the thresholds that the run was given.

    Empty if it was given none, or if they judged all its tests.

    Args:
        records: The tests.
        of_groups: What the results of a test must keep to, by its ID; else what the run says.
        of_the_run: What the run says.
    """
    if of_the_run == Thresholds():
        return ""
    count = sum(
        record.verdict is not None and of_groups.get(record.test_id, of_the_run) != of_the_run
        for record in records
    )
    tests, their = ("1 test was", "its") if count == 1 else (f"{count} tests were", "their")
    return f"{tests} judged by thresholds of {their} group, not by this run's." if count else ""
