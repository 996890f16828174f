"""Judges one test by what its agents measured: rows in, a verdict out. Pure."""

from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from statistics import median
from types import MappingProxyType
from typing import Final

from thousandeyes.laptop import Laptop, merged
from thousandeyes.outcomes import VerdictName
from thousandeyes.rounds import HttpRound, Measured, NetworkRound
from thousandeyes.text import cut, listed
from thousandeyes.thresholds import Reason, Thresholds, is_measured, reasons
from thousandeyes.verdict import METRICS, FailingAgent, Sighting, Spread, Verdict
from thousandeyes.verdict_words import Count, because

_LONGEST_NAME: Final = 60
_MOST_NAMES: Final = 200
_LONGEST_REASON: Final = 1_500
_MOST_ERROR_TYPES: Final = 10  # the API has six
_NAMELESS: Final[Mapping[str, str]] = MappingProxyType({})


def judge(
    rounds: Iterable[Measured],
    thresholds: Thresholds,
    *,
    expected: int | None,
    complete: bool,
    too_early: bool = False,
    is_http: bool = False,
    agent_names: Mapping[str, str] = _NAMELESS,
) -> Verdict:
    """Judge one test by what its agents measured; neither order nor repetition of rows matters.

    For each agent the rows of its newest round count, network and HTTP separately, because they
    need not arrive together. Two different rows of one round both count: nothing shows which is
    later, and a failure must not hide behind a success. An agent passes if none of its rows fails;
    if all it could report is that ICMP is blocked, or may be, it passes too.

    Args:
        rounds: The rows of this test that count, network and HTTP together.
        thresholds: What they must keep to.
        expected: How many agents should answer, if known. It is reported but not judged: laptops
            sleep.
        complete: Whether no more answers will come, rather than a deadline having passed. It is
            reported but not judged either: too few answers are `timed_out` both ways, because
            nothing that was measured was bad.
        too_early: Whether agents that should answer may still do so, although nobody waits for
            them: unless all have answered, the verdict is provisional.
        is_http: Whether it is an HTTP test: an agent with only network rows has not answered it,
            unless one of them fails.
        agent_names: The agents' names by ID; an agent without one goes by its ID.
    """
    known = _newest_rows(rounds)
    failing = _failing(known, thresholds, agent_names)
    agents = _answers(known, failing) if is_http else known
    name = _name(len(agents), len(agents) - len(failing), thresholds)
    measured = {agent: [r for r in rows if is_measured(r)] for agent, rows in agents.items()}
    http = [row for rows in measured.values() for row in rows if isinstance(row, HttpRound)]
    count = Count(
        answered=len(agents),
        blocked=sum(len(measured[agent]) < len(rows) for agent, rows in agents.items()),
        in_part=len(known) - len(agents),
        errors=list(_untold(agents.values())),
        expected=expected,
        complete=complete,
        too_early=too_early,
    )
    return Verdict(
        name=name,
        reason=cut(because(name, count, failing, thresholds), _LONGEST_REASON),
        agents_expected=expected,
        agents_answered=count.answered,
        agents_passed=count.answered - len(failing),
        agents_icmp_blocked=count.blocked,
        # No name may hold what separates names.
        agents_failed=listed([one.name.replace(", ", ",") for one in failing], _MOST_NAMES) or None,
        failing=failing,
        sightings=tuple(_sightings(measured, thresholds)),
        **{metric: _spread(measured.values(), metric) for metric in METRICS},
        http_status_worst=max((r.response_code for r in http if r.response_code), default=None),
        error_types=tuple(sorted({row.error for row in http if row.error}))[:_MOST_ERROR_TYPES],
        provisional=count.may_grow,
        unread=False,
        thresholds=thresholds.words or None,
    )


def _newest_rows(rounds: Iterable[Measured]) -> dict[str, list[Measured]]:
    newest: dict[tuple[str, type[Measured]], list[Measured]] = {}
    for row in rounds:
        rows = newest.setdefault((row.agent_id, type(row)), [])
        if rows and row.round_id > rows[0].round_id:
            rows.clear()
        if not rows or row.round_id == rows[0].round_id:
            rows.append(row)
    agents: dict[str, list[Measured]] = {}
    for (agent_id, _), rows in newest.items():
        agents.setdefault(agent_id, []).extend(rows)
    return agents


def _failing(
    agents: Mapping[str, list[Measured]], thresholds: Thresholds, names: Mapping[str, str]
) -> tuple[FailingAgent, ...]:
    found: list[tuple[float, FailingAgent]] = []
    for agent_id, rows in agents.items():
        whys: set[Reason] = set()
        round_id = 0
        for row in rows:
            if of_row := set(reasons(row, thresholds)):
                whys |= of_row
                round_id = max(round_id, row.round_id)
        if whys:
            worst_first = sorted(whys, key=lambda why: (-why.weight, why.text))
            name = cut(names.get(agent_id) or agent_id, _LONGEST_NAME)
            agent = FailingAgent(agent_id, name, tuple(worst_first), round_id)
            found.append((worst_first[0].weight, agent))
    found.sort(key=lambda item: (-item[0], item[1].name, item[1].agent_id))
    return tuple(agent for _, agent in found)


def _answers(
    known: Mapping[str, list[Measured]], failing: Iterable[FailingAgent]
) -> dict[str, list[Measured]]:
    """Return the agents that answered an HTTP test."""
    whole = {agent.agent_id for agent in failing}
    whole |= {agent for agent, rows in known.items() if any(isinstance(r, HttpRound) for r in rows)}
    return {agent: rows for agent, rows in known.items() if agent in whole}


def _untold(agents: Iterable[list[Measured]]) -> Iterator[str]:
    """Yield the error, or "", of each agent that measured nothing for another reason than ICMP."""
    for rows in agents:
        nothing = [row for row in rows if not is_measured(row)]
        if nothing and not any(isinstance(r, NetworkRound) and r.is_icmp_blocked for r in nothing):
            yield min(row.details for row in nothing)


def _sightings(
    measured: Mapping[str, list[Measured]], thresholds: Thresholds
) -> Iterator[Sighting]:
    for agent_id, rows in sorted(measured.items()):
        if rows:
            failed = any(True for row in rows for _ in reasons(row, thresholds))
            yield _shared(agent_id, failed, merged(row.laptop for row in rows))


@lru_cache(maxsize=20_000)  # an agent does the same in most tests, and a run may have 10,000
def _shared(agent_id: str, failed: bool, laptop: Laptop) -> Sighting:  # noqa: FBT001
    return Sighting(agent_id, failed, laptop)


def _name(answered: int, passed: int, thresholds: Thresholds) -> VerdictName:
    if not answered:
        return VerdictName.NO_DATA
    if answered < thresholds.min_agents:
        return VerdictName.TIMED_OUT
    if 100 * passed < thresholds.min_agents_passing_percent * answered:
        return VerdictName.FAILED
    return VerdictName.PASSED


def _spread(agents: Iterable[list[Measured]], metric: str) -> Spread:
    model, attribute = METRICS[metric]
    values = []
    for rows in agents:
        told = [getattr(row, attribute) for row in rows if isinstance(row, model)]
        if known := [value for value in told if value is not None]:
            values.append(max(known))
    return Spread(max(values), median(values)) if values else Spread()


NO_VERDICT: Final = MappingProxyType(
    dict.fromkeys(judge((), Thresholds(), expected=None, complete=True).row())
)
"""The columns of a test that has no verdict."""
