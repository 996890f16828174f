"""Fisher's exact test, one-sided: how often chance alone brings that many failures together.

Source: R. A. Fisher, The Logic of Inductive Inference, Journal of the Royal Statistical Society 98
(1935), pages 39 to 82. The distribution is the hypergeometric one. The test is as valid for few
laptops as for many; the usual approximations are not.
"""

import math
from functools import lru_cache
from typing import Final

_NEGLIGIBLE: Final = -40.0
"""A sum of decreasing terms may stop at a term whose logarithm is this far below the first."""


def log_chance(failed: int, group: int, all_failed: int, everyone: int) -> float:
    """Return the log of the probability that a group has this many failures or more by chance.

    It is the natural logarithm, because the probability itself may be too small for a float.

    Args:
        failed: How many of the group failed.
        group: How many belong to the group.
        all_failed: How many failed in total, including those of the group.
        everyone: How many there are in total.

    Raises:
        ValueError: No group can have these numbers.
    """
    passed = everyone - all_failed
    least, most = max(0, group - passed), min(group, all_failed)
    if not (0 <= group <= everyone and passed >= 0 and least <= failed <= most):
        raise ValueError(f"no group: {failed} of {group}, {all_failed} of {everyone}")
    if failed == least:
        return 0.0
    ways = _log_ways(everyone, group)
    # Above the most probable number the terms decrease; below it all of them have to be summed.
    usual = (group + 1) * (all_failed + 1) // (everyone + 2)
    parts: list[float] = []
    for number in range(failed, most + 1):
        part = _log_ways(all_failed, number) + _log_ways(passed, group - number) - ways
        parts.append(part)
        if number > usual and part < parts[0] + _NEGLIGIBLE:
            break
    largest = max(parts)
    total = largest + math.log(math.fsum(math.exp(part - largest) for part in parts))
    return min(0.0, total)


def _log_ways(items: int, chosen: int) -> float:
    return _log_factorial(items) - _log_factorial(chosen) - _log_factorial(items - chosen)


@lru_cache(maxsize=100_000)
def _log_factorial(number: int) -> float:
    return math.lgamma(number + 1)
