"""Which rounds a rerun caused, and until when its agents may answer. Pure.

Agents may check for work only every ten minutes, so that some measure long after the call. Rounds
and moments are in epoch seconds of the server's clock.
"""

from collections.abc import Iterable
from typing import Final, NamedTuple

from thousandeyes.results import first_round

CHECK_IN: Final = 600.0
"""Seconds from one check-in of an agent to the next, at worst. Source: the vendor's documents."""
REPORTING: Final = 300.0
"""Seconds allowed for measuring and reporting after that; the documents name no number."""


class OwnRounds(NamedTuple):
    """The rounds of one rerun: those with an ID above `after`, up to and including `until`.

    No answer is expected after `answered_by`.
    """

    after: int
    until: int
    answered_by: float


def own_rounds(
    after: int,
    interval: int,
    *,
    took: float = 0.0,
    awaited: float = 0.0,
    later: Iterable[int] = (),
) -> OwnRounds:
    """Return which rounds are a rerun's own.

    Args:
        after: The round after which they begin, as noted before the first call: at most one
            interval before the round of the call.
        interval: Seconds between the test's rounds.
        took: Seconds from the first call to the last answer.
        awaited: Seconds for which the run waited for results: what counted then still counts.
        later: The same as `after` for other reruns of this test. Only later ones end this rerun's
            rounds, because nothing distinguishes two reruns of the same minute.
    """
    sent = after + 2 * interval + took
    until = first_round(sent + max(CHECK_IN, awaited), interval)
    return OwnRounds(
        after,
        min([until, *(other for other in later if other > after)]),
        sent + CHECK_IN + REPORTING,
    )
