"""Whether a measurement is worse than the same test's usual ones: numbers in, a word out. Pure.

Usual is the median of the older half of what is kept, so that a test that grows slower bit by bit
is seen against how it was. The spread comes from the steps between neighbours: these a slow growth
hardly widens (J. von Neumann and others, The mean square successive difference, Annals of
Mathematical Statistics 12, 1941), and their median no single outlier. How many spreads are too
many: B. Iglewicz and D. Hoaglin, How to Detect and Handle Outliers, ASQC 1993; more of them where
few values are kept, whose spread is a rough guess.

Values of a few agents are not held against those of many. Instead it is said that far fewer of them
answered than usual, which is all that laptops tell that fall silent.
"""

from collections.abc import Mapping
from itertools import pairwise
from math import sqrt
from statistics import median
from types import MappingProxyType
from typing import Final, NamedTuple

from thousandeyes.standing import Recent

FEWEST: Final = 6
"""Earlier values without which nothing is said."""
MOST_KEPT: Final = 20
"""Values that are kept of a metric."""

AGENTS: Final = "agents"
"""Under which is kept how many agents answered, beside the metrics."""
_FEWER_BY: Final = 3
"""Silent agents that may as well be off by chance, such as at night."""

_TOO_MANY_SPREADS: Final = 3.5
"""For many values; for n of them 1 + 6 / n times that. Of steady noise (normal, 20 % of the mean)
0.5 % is then called worse at 6 values and 0.2 % at 20, of log-normal noise 0.9 % and 0.6 %. With
3.5 for all, it was 2.6 % and 0.6 %, and 4 % and 1.6 %."""
_SIGMA: Final = 1.4826  # of a normal distribution, for its median absolute deviation


class _Metric(NamedTuple):
    word: str
    name: str
    unit: str
    least: float
    """A smaller step means nothing, however steady the test is; in the metric's unit."""
    least_share: float
    """Nor does one that is a smaller share of what is usual."""


METRICS: Final[Mapping[str, _Metric]] = MappingProxyType(
    {
        "latency_ms": _Metric("slower", "latency", " ms", 5, 0.1),
        "response_time_ms": _Metric("slower", "response time", " ms", 20, 0.1),
        "loss": _Metric("lossier", "loss", " %", 1, 0),
    }
)
"""What is looked at, each the median over a test's agents."""


def fewer(recent: Recent, now: Mapping[str, float]) -> str:
    """Return that far fewer agents answered than usual, if so, and how many.

    Such as `fewer agents: 1 answered, usually 25`. Arguments as for `moved`.
    """
    usual, answered = median(recent.get(AGENTS, (0,))), now.get(AGENTS, 0)
    if AGENTS not in now or not are_far_fewer(answered, usual):
        return ""
    return f"fewer agents: {answered:g} answered, usually {usual:g}"


def moved(recent: Recent, now: Mapping[str, float]) -> str:
    """Return what is worse than usual, such as `slower: latency 48 ms, usually 31 ms`.

    Empty where nothing is, or where too little is known to tell.

    Args:
        recent: What the test measured in earlier runs, the oldest first.
        now: What it measured this time.
    """
    return "; ".join(
        f"{metric.word}: {metric.name} {now[key]:.4g}{metric.unit}, "
        f"usually {usual:.4g}{metric.unit}"
        for key, metric in METRICS.items()
        if key in now and (usual := _exceeded(recent.get(key, ()), now[key], metric)) is not None
    )


def are_far_fewer(agents: float, before: float) -> bool:
    """Tell whether far fewer agents answered: less than half of them, and at least 3 fewer."""
    return 2 * agents < before and before - agents >= _FEWER_BY


def remembered(recent: Recent, now: Mapping[str, float]) -> dict[str, tuple[float, ...]]:
    """Return what is kept for the next run: the values of this one after the earlier ones.

    Of far fewer agents than usual, only their number is kept.
    """
    if fewer(recent, now):
        now = {AGENTS: now[AGENTS]}
    kept = {}
    for key in (*METRICS, AGENTS):
        values = [*recent.get(key, ()), *([float(f"{now[key]:g}")] if key in now else ())]
        if values:
            kept[key] = tuple(values[-MOST_KEPT:])
    return kept


def _exceeded(values: tuple[float, ...], now: float, metric: _Metric) -> float | None:
    """Return what is usual, if this value is too far above it."""
    if len(values) < FEWEST:
        return None
    usual = median(values[: (len(values) + 1) // 2])
    spread = _SIGMA / sqrt(2) * median(abs(later - one) for one, later in pairwise(values))
    too_many = _TOO_MANY_SPREADS * (1 + FEWEST / len(values))
    margin = max(too_many * spread, metric.least, metric.least_share * usual)
    return usual if now > usual + margin else None
