"""Whether a run passed, and the one sentence that says why."""

from collections.abc import Collection, Sequence

from flows.rerun.options import RerunOptions
from tasks.summary import counts
from thousandeyes.errors import Outcome
from thousandeyes.rerun import GOOD, Ending, Rerun
from thousandeyes.verdict import VerdictName


class RerunFailed(Exception):
    """A run of `rerun-endpoint-tests` failed; raised in the flow that called it.

    The message is the run's sentence; `outcomes` holds one record a test.
    """

    def __init__(self, message: str, outcomes: Sequence[Rerun] = ()) -> None:
        super().__init__(message)
        self.outcomes = list(outcomes)


def judge(
    records: Sequence[Rerun],
    fail_on: Collection[Ending],
    stopped: str | None = None,
    done: str = "accepted",
) -> tuple[bool, str]:
    """Return whether the run passed, and the sentence that tells people.

    Args:
        records: One a test, each with its outcome.
        fail_on: The outcomes and verdicts that fail the run.
        stopped: What made the run stop early, if anything did.
        done: The word for what an accepted test is.
    """
    if not records:
        return True, "No test is left to run: all of them ended well before."

    bad = [record for record in records if _fails(record, fail_on)]
    tolerated = [r for r in records if not _fails(r, fail_on) and r.ending not in GOOD]
    accepted = sum(record.outcome is Outcome.ACCEPTED for record in records)
    sentence = f"{accepted} of {len(records)} tests {done}"
    if any(record.verdict for record in records):
        sentence += f", {sum(record.ending is VerdictName.PASSED for record in records)} passed"
    if skipped := sum(record.outcome is Outcome.SKIPPED for record in records):
        sentence += f", {skipped} skipped"
    if bad:
        sentence += f"; failed for {counts(bad)}"
    if tolerated:
        sentence += f"; fail_on lets pass {counts(tolerated)}"
    if stopped:
        sentence += f"; stopped early: {stopped}"
    return not bad, sentence + "."


def ended_well(record: Rerun, options: RerunOptions) -> bool:
    """Tell whether a test is done with, after a run with these options.

    It is when it was accepted and, where the run waited for results, passed, or when it was
    skipped; never when the run failed for it.
    """
    good = GOOD - {Outcome.ACCEPTED} if options.wait_for_results else GOOD
    return record.ending in good and not _fails(record, options.fail_on)


def _fails(record: Rerun, fail_on: Collection[Ending]) -> bool:
    return record.outcome in fail_on or record.ending in fail_on
