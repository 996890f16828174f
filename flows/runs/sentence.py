"""Whether a run passed, and the one sentence that says why."""

from collections.abc import Collection, Sequence

from tasks.summary import counts
from thousandeyes.changes import is_newly_failing
from thousandeyes.outcomes import GOOD, Ending, Outcome, VerdictName
from thousandeyes.record import Record
from thousandeyes.standing import Change


def passed_and_why(
    records: Sequence[Record],
    fail_on: Collection[Ending | Change],
    stopped: str | None = None,
    done: str = "accepted",
) -> tuple[bool, str]:
    """Return whether the run passed, and the sentence that tells people.

    Args:
        records: One a test, each with its outcome.
        fail_on: The outcomes, verdicts and changes that fail the run.
        stopped: What made the run stop early, if anything did.
        done: The word for what an accepted test is.
    """
    if not records:
        return True, "No test is left to run: all of them ended well before."

    bad = [record for record in records if fails_the_run(record, fail_on)]
    tolerated = [
        record
        for record in records
        if record.ending not in GOOD and not fails_the_run(record, fail_on)
    ]
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


def fails_the_run(record: Record, fail_on: Collection[Ending | Change]) -> bool:
    """Tell whether a run fails for a test: for what was measured, or for what became of its call.

    Args:
        record: The test.
        fail_on: The outcomes, verdicts and changes that fail the run.
    """
    if Change.NEW_FAILURE in fail_on and is_newly_failing(record):
        return True
    return record.outcome in fail_on or record.ending in fail_on
