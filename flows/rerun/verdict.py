"""Whether a run passed, and the one sentence that says why."""

from collections.abc import Collection, Sequence

from tasks.summary import counts
from thousandeyes.errors import Outcome
from thousandeyes.rerun import Rerun


class RerunFailed(Exception):
    """A run of `rerun-endpoint-tests` failed; raised in the flow that called it.

    The message is the run's sentence; `outcomes` holds one record a test.
    """

    def __init__(self, message: str, outcomes: Sequence[Rerun] = ()) -> None:
        super().__init__(message)
        self.outcomes = list(outcomes)


def judge(
    records: Sequence[Rerun], fail_on: Collection[Outcome], stopped: str | None = None
) -> tuple[bool, str]:
    """Return whether the run passed, and the sentence that tells people.

    Args:
        records: One a test, each with its outcome.
        fail_on: The outcomes that fail the run.
        stopped: What made the run stop early, if anything did.
    """
    good = (Outcome.ACCEPTED, Outcome.SKIPPED)
    bad = [record for record in records if record.outcome in fail_on]
    tolerated = [r for r in records if r.outcome not in fail_on and r.outcome not in good]
    accepted = sum(record.outcome is Outcome.ACCEPTED for record in records)
    sentence = f"{accepted} of {len(records)} tests accepted"
    if bad:
        sentence += f"; failed for {counts(bad)}"
    if tolerated:
        sentence += f"; fail_on lets pass {counts(tolerated)}"
    if stopped:
        sentence += f"; stopped early: {stopped}"
    return not bad, sentence + "."
