"""The measurements that a run causes: which agents answer, when, and with what.

Every number is derived from the seed, the test, the run and the agent, so that the same calls
always lead to the same measurements.
"""

import random
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any, NamedTuple

from .faults import Behaviour
from .inventory import Agent, EndpointTest
from .options import Options
from .state import Simulator

_GIGABYTE = 2**30
_LOSS_SHARE, _BLOCKED_SHARE, _HTTP_ERROR_SHARE = 0.08, 0.03, 0.06
_GREAT, _GOOD = 80, 50
_ANSWERS = {"never": (), "once": ("",), "twice": ("", " again")}
_HTTP_ERRORS = {
    "dns": "Could not resolve host",
    "connect": "Connection timed out",
    "ssl": "Certificate has expired",
    "http": "The server's status tells",
    "receive": "Operation timed out",
    "send": "Broken pipe",
}
_FIRST_ERROR_CODE = 400
ALL = 100


@dataclass(frozen=True)
class Measurement:
    """What one agent measures in one round; `luck` is its own number in [0, 1)."""

    test: EndpointTest
    agent: Agent
    round_id: int
    """The round's start in epoch seconds, a multiple of the interval."""
    key: str
    luck: float
    behaviour: Behaviour
    is_healthy: bool
    """Whether nothing goes wrong except what its behaviour says."""

    def rng(self, purpose: str) -> random.Random:
        """Return a random source that is always the same for this purpose."""
        return random.Random(f"{purpose} {self.key}")  # noqa: S311  repeatable on purpose

    def meets(self, share: float, rng: random.Random) -> bool:
        """Tell whether this measurement is in the share for which something goes wrong."""
        return rng.random() < share and not self.is_healthy


def measurements(
    simulator: Simulator,
    test: EndpointTest,
    start: float,
    end: float,
    as_of: float,
    *,
    http: bool = False,
) -> Iterator[Measurement]:
    """Yield what is known at `as_of` of the rounds that start in [start, end], in epoch seconds.

    With `http`, yield what is known of their HTTP part, which may come later.

    Each run makes one round; two runs within one interval share a round ID.
    """
    options = simulator.options
    agents, interval = agents_of(simulator, test), options.interval(test.id)
    times = [*simulator.earlier_rounds, *simulator.run_times[test.id]]
    for number, ran_at in enumerate(times, -len(simulator.earlier_rounds)):
        round_id = int(ran_at // interval) * interval
        if not start <= round_id <= end:
            continue
        for place, agent in enumerate(agents):
            behaviour = options.behaviour(test.id, place)
            for answer in _ANSWERS[behaviour.answers]:
                key = f"{options.seed} {test.id} {number} {agent.id}{answer}"
                luck = zlib.crc32(key.encode()) / 2**32
                late = behaviour.late_seconds + (behaviour.http_late_seconds if http else 0)
                delay = options.results_after_seconds * (1 + luck) + late
                if number < 0 or ran_at + delay <= as_of:
                    does = _cut_off(options, agent, key) or behaviour
                    yield Measurement(test, agent, round_id, key, luck, does, options.healthy)


def _cut_off(options: Options, agent: Agent, key: str) -> Behaviour | None:
    """Return the behaviour of an agent that is cut off in a round, by chance or for a cause."""
    causes = [cause for cause in options.causes if cause.holds(agent.surroundings)]
    if not (causes or options.noise):
        return None
    rng = random.Random(f"cut off {key}")  # noqa: S311  repeatable on purpose
    if rng.random() < options.noise:
        return Behaviour(loss=ALL, error_type="connect", path_ends="on_the_way")
    for cause in causes:
        if rng.random() < cause.share:
            return Behaviour(loss=ALL, error_type="connect", path_ends=cause.lies_at)
    return None


def agents_of(simulator: Simulator, test: EndpointTest) -> list[Agent]:
    """Return the agents that answer: those selected, up to `maxMachines`, that are online.

    The simulator has no labels or tags: `agent-labels` and `agent-tags` select all agents.
    """
    wanted = test.selector.get("agents")
    selected = (a for a in simulator.agents if wanted is None or a.id in wanted)
    return [a for a in islice(selected, max(0, test.selector["maxMachines"])) if a.is_online]


class Ping(NamedTuple):
    """What happened to the packets of a round: loss in percent, times in milliseconds."""

    is_blocked: bool
    loss: float
    average: float
    jitter: float


def ping(measurement: Measurement) -> Ping:
    """Return what happened to an agent's packets in its round."""
    rng, told = measurement.rng("network"), measurement.behaviour
    is_blocked = told.icmp_blocked or measurement.meets(_BLOCKED_SHARE, rng)
    # There are 10 packets in a round, so loss comes in tenths.
    loss = 10.0 * rng.randint(1, 4) if measurement.meets(_LOSS_SHARE, rng) else 0.0
    average, jitter = 8 + rng.lognormvariate(3, 0.6), rng.lognormvariate(0, 0.7)
    return Ping(
        is_blocked,
        loss if told.loss is None else told.loss,
        round(average if told.latency_ms is None else told.latency_ms, 2),
        jitter,
    )


def network_row(measurement: Measurement, aid: str | int, expand: frozenset[str]) -> dict[str, Any]:
    """Return a row of network results: loss in percent, times in milliseconds."""
    row = common(measurement, aid, expand)
    is_blocked, loss, average, jitter = ping(measurement)
    if is_blocked:
        return row | {"isIcmpBlocked": True, "errorDetails": "ICMP is blocked on the way"}
    if loss == ALL:
        return row | {"loss": loss, "isIcmpBlocked": False, "score": _score(0)}
    return row | {
        "loss": loss,
        "avgLatency": average,
        "minLatency": round(max(0.1, average - 1.5 * jitter), 2),
        "maxLatency": round(average + 2 * jitter, 2),
        "jitter": round(jitter, 3),
        "isIcmpBlocked": False,
        "score": _score(100 - 2 * loss - average / 10),
    }


def http_row(measurement: Measurement, aid: str | int, expand: frozenset[str]) -> dict[str, Any]:
    """Return a row of HTTP results: times in milliseconds, sizes in bytes."""
    row, rng = common(measurement, aid, expand), measurement.rng("http")
    if error := _http_error(measurement, rng):
        code = measurement.behaviour.response_code or 503
        if error != "http":
            return row | {"errorType": error, "errorDetails": _HTTP_ERRORS[error]}
        return row | {"errorType": error, "errorDetails": f"HTTP/2 {code}", "responseCode": code}
    dns, connect, ssl = rng.randint(0, 20), rng.randint(5, 60), rng.randint(8, 90)
    wait, receive = int(rng.lognormvariate(4, 0.8)), rng.randint(1, 60)
    response = dns + connect + ssl + wait
    size = rng.randint(2_000, 400_000)
    timings = {
        "errorType": "none",
        "responseCode": measurement.behaviour.response_code or 200,
        "dnsTime": dns,
        "connectTime": connect,
        "sslTime": ssl,
        "waitTime": wait,
        "receiveTime": receive,
        "responseTime": response,
        "totalTime": response + receive,
        "redirectTime": 0,
        "numRedirects": 0,
        "wireSize": size,
        "throughput": size * 1000 // max(1, receive),
        "score": _score(105 - response / 12),
    }
    if "header" in expand:
        timings["headers"] = {
            "requestHeaders": "GET / HTTP/2\r\nUser-Agent: simulator\r\n",
            "responseHeaders": f"HTTP/2 200\r\nContent-Length: {size}\r\n",
        }
    return row | timings


def _http_error(measurement: Measurement, rng: random.Random) -> str | None:
    told = measurement.behaviour
    if told.error_type:
        return told.error_type
    if told.response_code:
        return "http" if told.response_code >= _FIRST_ERROR_CODE else None
    return rng.choice(list(_HTTP_ERRORS)) if measurement.meets(_HTTP_ERROR_SHARE, rng) else None


def common(measurement: Measurement, aid: str | int, expand: frozenset[str]) -> dict[str, Any]:
    """Return what all rows of a measurement have in common."""
    agent, rng = measurement.agent, measurement.rng("laptop")
    cpu, memory = rng.uniform(0.05, 0.7), rng.uniform(4, 14) * _GIGABYTE
    row: dict[str, Any] = {
        "aid": aid,
        "testId": measurement.test.id,
        "agentId": agent.id,
        "roundId": measurement.round_id,
        "serverIp": measurement.test.server_ip,
        "platform": agent.platform,
        "systemMetrics": {
            "cpuUtilization": {"mean": round(cpu, 3)},
            "physicalMemoryUsedBytes": {"mean": round(memory)},
            "physicalMemoryTotalBytes": 16 * _GIGABYTE,
        },
        **agent.surroundings,
    }
    if "user-profile" in expand:
        row["userProfile"] = {"userName": agent.user, "userPrincipalName": agent.email}
    return row


def _score(score: float) -> dict[str, Any]:
    score = round(min(100.0, max(0.0, score)), 1)
    quality = "great" if score >= _GREAT else "good" if score >= _GOOD else "poor"
    return {"applicationScore": score, "quality": quality}
