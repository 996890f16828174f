"""The verdicts of a run that later results may change, and what became of them. Pure."""

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Final

from flows.runs.sentence import short_name
from thousandeyes.delivery import Delivery
from thousandeyes.outcomes import Ending, Outcome, VerdictName, in_words
from thousandeyes.record import Record
from thousandeyes.text import counted, listed

MOST_NAMED: Final = 5
_NONE: Final[Mapping[str, tuple[int, int]]] = MappingProxyType({})


def is_open(record: Record, delivery: Delivery) -> bool:
    """Tell whether later results may show something new about a test.

    Args:
        record: A test of a run that waited for results.
        delivery: That of the run. Under `at_most_once` a doubt may be settled.
    """
    if record.outcome is Outcome.ACCEPTED:
        return record.verdict is None or record.is_provisional
    return record.needs_settling(delivery)


def what_became(
    before: Mapping[str, Ending],
    records: Iterable[Record],
    trouble: str = "",
    fewer: Mapping[str, tuple[int, int]] = _NONE,
) -> str:
    """Return in a sentence what became of open verdicts.

    Such as `2 of 3 provisional verdicts are final now: VPN gateway (no data before, passed now).`

    Args:
        before: How the tests stood whose verdict was open, by ID.
        records: All tests of the run, as they stand now.
        trouble: What kept results from being read, if anything did.
        fewer: How many agents the API reports now and reported then, by the ID of each test whose
            verdict stays because they became fewer.
    """
    if not before:
        return "No verdict was provisional."
    opened = [record for record in records if record.test_id in before]
    final = [record for record in opened if record.verdict and not record.is_provisional]
    changed = [
        f"{short_name(record)} ({in_words(was)} before, {in_words(record.ending)} now)"
        for record in opened
        if record.ending != (was := before[record.test_id])
    ]
    judged = all(ending in list(VerdictName) for ending in before.values())
    verdicts = counted(len(opened), "provisional verdict" if judged else "open verdict")
    text = f"{len(final)} of {verdicts} {'is' if 1 in (len(final), len(opened)) else 'are'} final"
    text += f" now: {listed(changed, MOST_NAMED)}" if changed else " now; none changed"
    if kept := [
        f"{short_name(record)} ({fewer[record.test_id][0]}, {fewer[record.test_id][1]} then)"
        for record in opened
        if record.test_id in fewer
    ]:
        stay = "1 stays" if len(kept) == 1 else f"{len(kept)} stay"
        text += f"; {stay} as judged, because the API now reports fewer agents: "
        text += listed(kept, MOST_NAMED)
    text += f"; the results could not be read to the end: {trouble.rstrip('. ')}" if trouble else ""
    return f"{text}."
