"""Whether a measurement is worse than the same test's usual ones: numbers in, words out. Pure.

"Usual" is the median of the older half of the values that are kept, so that a test that gets slower
bit by bit is compared with how it was. The spread comes from the steps between neighbouring values:
a slow rise hardly widens these (J. von Neumann and others, The mean square successive difference,
Annals of Mathematical Statistics 12, 1941), and a single outlier hardly moves their median. How
many spreads are too many: B. Iglewicz and D. Hoaglin, How to Detect and Handle Outliers, ASQC 1993.
It takes more of them when few values are kept, because their spread is a rough guess.

Values of a few agents are not compared with those of many. Instead the result says that far fewer
agents answered than usual, which is all that is known of laptops that fall silent.
"""

from collections.abc import Mapping
from itertools import pairwise
from math import sqrt
from statistics import median
from types import MappingProxyType
from typing import Final, NamedTuple

from thousandeyes.standing import Recent

FEWEST: Final = 6
"""Earlier values that it takes to say anything."""
MOST_KEPT: Final = 20
"""The most values that are kept of a metric."""

AGENTS: Final = "agents"
"""The key, beside those of the metrics, for how many agents answered."""
_FEWER_BY: Final = 3
"""With fewer missing agents than this, they may be off by chance, for example at night."""

_TOO_MANY_SPREADS: Final = 3.5
"""For many values; for n values it is 1 + 6 / n times that. Of steady noise (normal, 20 % of the
mean), 0.5 % is then called worse at 6 values and 0.2 % at 20; of log-normal noise, 0.9 % and 0.6 %.
With 3.5 for any number of values, it was 2.6 % and 0.6 %, and 4 % and 1.6 %."""
_SIGMA: Final = 1.4826  # of a normal distribution, for its median absolute deviation


class _Metric(NamedTuple):
    word: str
    name: str
    unit: str
    least: float
    """A smaller step, in the metric's unit, means nothing, however steady the test is."""
    least_share: float
    """A step that is a smaller share of the usual value means nothing either."""


METRICS: Final[Mapping[str, _Metric]] = MappingProxyType(
    {
        "latency_ms": _Metric("slower", "latency", " ms", 5, 0.1),
        "response_time_ms": _Metric("slower", "response time", " ms", 20, 0.1),
        "loss": _Metric("lossier", "loss", " %", 1, 0),
    }
)
"""The metrics that are compared, each the median over a test's agents."""


def fewer(recent: Recent, now: Mapping[str, float]) -> str:
    """Return how many agents answered, if that is far fewer than usual; else an empty string.

    For example `fewer agents: 1 answered, usually 25`. The arguments are those of `moved`.
    """
    usual, answered = median(recent.get(AGENTS, (0,))), now.get(AGENTS, 0)
    if AGENTS not in now or not are_far_fewer(answered, usual):
        return ""
    return f"fewer agents: {answered:g} answered, usually {usual:g}"


def moved(recent: Recent, now: Mapping[str, float]) -> str:
    """Return what is worse than usual, for example `slower: latency 48 ms, usually 31 ms`.

    The text is empty if nothing is worse, or too little is known.

    Args:
        recent: What the test measured in earlier runs, oldest first.
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
    """Return what is kept for the next run: the earlier values, then those of this run.

    If far fewer agents answered than usual, only their number is kept.
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
    """Return the usual value, if this one is too far above it."""
    if len(values) < FEWEST:
        return None
    usual = median(values[: (len(values) + 1) // 2])
    spread = _SIGMA / sqrt(2) * median(abs(later - one) for one, later in pairwise(values))
    too_many = _TOO_MANY_SPREADS * (1 + FEWEST / len(values))
    margin = max(too_many * spread, metric.least, metric.least_share * usual)
    return usual if now > usual + margin else None
