"""What the failing laptops of a run have in common, if chance doesn't explain it. Pure.

A laptop counts once, however many tests it took part in. If its Wi-Fi card is broken it fails all
of them, and in a run of twelve tests it would pass for twelve laptops of its network. An exact test
requires independent cases, and only the laptops are independent. A laptop counts as failed if it
failed in any of its tests, or in more than half of them. Both are tried, because a cause may lie
between the laptops and one service, or between them and everything.

Tests in which every laptop failed say nothing about laptops and are left out. A cause must also
show within the tests in which laptops that it applies to meet others: a service that is down, and
that only one site's laptops use, is not the fault of the site.

Sources: Fisher's exact test as in `exact_test`. The chance is corrected for all that was tried:
S. Holm, A Simple Sequentially Rejective Multiple Test Procedure, Scandinavian Journal of Statistics
6 (1979), pages 65 to 70. For the strongest value only its first step is needed, Bonferroni's.
Values of too few laptops to be named, whoever fails, are not counted, as proposed by R. E. Tarone,
A Modified Bonferroni Method for Discrete Data, Biometrics 46 (1990), 515 to 522.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Final, NamedTuple

from thousandeyes.causes import Cause, Shared
from thousandeyes.exact_test import log_chance
from thousandeyes.laptop import PLACES, Fact, Laptop, merged
from thousandeyes.verdict import Sighting

LARGEST_CHANCE: Final = 0.01
"""How often a run may name something when only chance is at work."""
LEAST_LAPTOPS: Final = 3
"""How many laptops must have a value, and how many of these must fail."""
LEAST_DIFFERENCE: Final = 0.25
"""By how much the fraction of laptops that fail must exceed that elsewhere. Among 10,000 laptops, a
difference of 2 % is beyond chance too, but no help."""
LEAST_DEVIATIONS: Final = 3.0
"""How far failures must exceed what each test's own failures predict, in standard deviations."""
MOST_NAMED: Final = 3
_MOST_LOOKED_AT: Final = 50
"""After this many values beyond chance, none of which meets the other conditions, it gives up."""

_Agents = frozenset[str]


class _Test(NamedTuple):
    """The laptops of one test."""

    everyone: _Agents
    failed: _Agents


def in_common(tests: Iterable[Sequence[Sighting]]) -> Shared:
    """Return what the failing laptops of a run have in common.

    The order of tests and of laptops makes no difference.

    Args:
        tests: For each test that measured something, its laptops, each of them once.
    """
    told = [sightings for sightings in tests if sightings]
    counting = [each for each in told if not all(laptop.failed for laptop in each)]
    pool = [
        _Test(
            frozenset(laptop.agent_id for laptop in each),
            frozenset(laptop.agent_id for laptop in each if laptop.failed),
        )
        for each in counting
    ]
    laptops = _laptops(counting)
    ways = _ways_to_fail(pool)
    causes: list[Cause] = []
    left = frozenset(laptops)
    while len(causes) < MOST_NAMED and (found := _strongest(left, laptops, ways, pool)):
        cause, having = found
        causes.append(cause)
        left -= having  # so values that merely overlap with it are not named too
    return Shared(
        laptops=len(laptops),
        failed=len(ways[0]),
        causes=tuple(causes),
        tests=len(told),
        tests_all_failed=len(told) - len(counting),
    )


def _laptops(tests: Iterable[Sequence[Sighting]]) -> Mapping[str, Laptop]:
    told: dict[str, list[Laptop]] = {}
    for sighting in (sighting for test in tests for sighting in test):
        told.setdefault(sighting.agent_id, []).append(sighting.laptop)
    return {agent: merged(laptops) for agent, laptops in told.items()}


def _ways_to_fail(pool: Iterable[_Test]) -> tuple[_Agents, _Agents]:
    """Return the laptops that failed in any of their tests, and in more than half of them."""
    took_part: dict[str, int] = {}
    failed: dict[str, int] = {}
    for test in pool:
        for agent in test.everyone:
            took_part[agent] = took_part.get(agent, 0) + 1
        for agent in test.failed:
            failed[agent] = failed.get(agent, 0) + 1
    mostly = frozenset(agent for agent, times in failed.items() if 2 * times > took_part[agent])
    return frozenset(failed), mostly


class _Candidate(NamedTuple):
    """One value under one way to fail; the smallest is the strongest."""

    log_chance: float
    place: int
    mostly: bool
    fact: Fact
    having: _Agents


def _strongest(
    left: _Agents,
    laptops: Mapping[str, Laptop],
    ways: tuple[_Agents, _Agents],
    pool: Sequence[_Test],
) -> tuple[Cause, _Agents] | None:
    values = _values(left, laptops)
    failing = dict.fromkeys(way & left for way in ways)  # a single entry if both are the same
    tried = len(values) * len(failing)
    candidates = sorted(
        _Candidate(
            round(log_chance(len(having & failed), len(having), len(failed), len(left)), 6),
            PLACES[fact.attribute],
            failed != ways[0] & left,
            fact,
            having,
        )
        for failed in failing
        for having, fact in values.items()
    )
    for candidate in candidates[:_MOST_LOOKED_AT]:
        log_corrected = candidate.log_chance + math.log(tried)
        if log_corrected > math.log(LARGEST_CHANCE):
            return None
        having, failed = candidate.having, ways[candidate.mostly] & left
        cause = Cause(
            candidate.fact,
            failed=len(having & failed),
            laptops=len(having),
            failed_elsewhere=len(failed - having),
            elsewhere=len(left - having),
            chance=math.exp(log_corrected),
            mostly=candidate.mostly,
        )
        if _is_large(cause) and _shows_within_tests(having, left, pool):
            return cause, having
    return None


def _values(left: _Agents, laptops: Mapping[str, Laptop]) -> dict[_Agents, Fact]:
    """Return what some but not all laptops share, by these laptops; one fact for each set."""
    by_fact: dict[Fact, list[str]] = {}
    for agent in left:
        for fact in laptops[agent].facts:
            by_fact.setdefault(fact, []).append(agent)
    values: dict[_Agents, Fact] = {}
    for fact in sorted(by_fact, key=lambda fact: (PLACES[fact.attribute], fact.words)):
        if LEAST_LAPTOPS <= len(by_fact[fact]) < len(left):
            values.setdefault(frozenset(by_fact[fact]), fact)
    return values


def _is_large(cause: Cause) -> bool:
    difference = cause.failed / cause.laptops - cause.failed_elsewhere / cause.elsewhere
    return cause.failed >= LEAST_LAPTOPS and difference >= LEAST_DIFFERENCE


def _shows_within_tests(having: _Agents, left: _Agents, pool: Iterable[_Test]) -> bool:
    """Tell whether the difference also exists among laptops that took part in the same test.

    If not, it may come from which tests, or how many, they took part in. Source: N. Mantel and
    W. Haenszel, Statistical Aspects of the Analysis of Data from Retrospective Studies of Disease,
    Journal of the National Cancer Institute 22 (1959), pages 719 to 748.
    """
    beyond_expected, variance = 0.0, 0.0
    for test in pool:
        here, failed = test.everyone & left, test.failed & left
        everyone, group, failures = len(here), len(here & having), len(failed)
        if everyone > 1:
            beyond_expected += len(failed & having) - group * failures / everyone
            spread = group * (everyone - group) * failures * (everyone - failures)
            variance += spread / (everyone**2 * (everyone - 1))
    return variance > 0 and beyond_expected >= LEAST_DEVIATIONS * math.sqrt(variance)
