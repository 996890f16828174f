"""What a run says of its failing laptops: what they share over all its tests."""

from collections.abc import Iterable
from typing import NamedTuple

from thousandeyes.record import Record
from thousandeyes.shared import in_common
from thousandeyes.verdict import Verdict


class Told(NamedTuple):
    """What failing laptops share: in one sentence, empty without a cause, and in full."""

    headline: str = ""
    text: str = ""


def what_they_share(records: Iterable[Record], *, with_names: bool) -> Told:
    """Return what the failing laptops of a run have in common, in words for people.

    Its text is empty if no laptop failed or none was read. Only the attempt that judged a test
    knows its laptops: they are not recorded.

    Args:
        records: One per test, as the run ended.
        with_names: Whether networks go by name and address, rather than by kind.
    """
    verdicts = [record.verdict for record in records if record.verdict]
    shared = in_common(verdict.sightings for verdict in verdicts)
    headline, text = (say(with_names=with_names) for say in (shared.headline, shared.sentence))
    forgotten = [verdict for verdict in verdicts if _is_forgotten(verdict)]
    if not forgotten or not (text or any(map(_has_failures, forgotten))):
        return Told(headline, text)
    earlier, fresh = len(forgotten), sum(bool(verdict.sightings) for verdict in verdicts)
    where = "see an earlier version of this report."
    if text:
        only = "the one test" if fresh == 1 else f"the {fresh} tests"
        before = "the one" if earlier == 1 else f"the {earlier}"
        return Told(
            headline,
            f"{text} This covers only {only} judged now; for {before} judged earlier, {where}",
        )
    tests = "the one test" if earlier == 1 else f"the {earlier} tests"
    return Told(headline, f"For what the failing laptops of {tests} judged earlier share, {where}")


def _is_forgotten(verdict: Verdict) -> bool:
    """Tell whether laptops measured the test, but this attempt does not know them."""
    return not verdict.sightings and verdict.agents_answered > verdict.agents_icmp_blocked


def _has_failures(verdict: Verdict) -> bool:
    return verdict.agents_passed < verdict.agents_answered
