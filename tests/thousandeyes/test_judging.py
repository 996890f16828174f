import json
import math
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from tests.thousandeyes.steady import steady
from thousandeyes.judging import judge
from thousandeyes.laptop import Attribute, Fact, Laptop
from thousandeyes.outcomes import VerdictName
from thousandeyes.rounds import HttpRound, Measured, NetworkRound, Score, rows_of
from thousandeyes.text import shown
from thousandeyes.thresholds import Thresholds
from thousandeyes.verdict import FailingAgent, Sighting, Spread, Verdict

LIMITS = Thresholds(
    max_loss_percent=5,
    max_latency_ms=100,
    max_jitter_ms=10,
    max_response_time_ms=500,
    max_total_time_ms=800,
    min_score=60,
)


def network(agent: str = "a", round_id: int = 60, **told: Any) -> NetworkRound:
    return NetworkRound(test_id="1", agent_id=agent, round_id=round_id, **told)


def http(agent: str = "a", round_id: int = 60, **told: Any) -> HttpRound:
    return HttpRound(test_id="1", agent_id=agent, round_id=round_id, **told)


FINE_HTTP = http("good-0", response_code=200)


def verdict_on(
    *rows: Measured,
    expected: int | None = None,
    complete: bool = True,
    too_early: bool = False,
    is_http: bool = False,
    **thresholds: Any,
) -> Verdict:
    return judge(
        rows,
        Thresholds(**thresholds),
        expected=expected,
        complete=complete,
        too_early=too_early,
        is_http=is_http,
    )


def good(agents: int) -> list[Measured]:
    return [network(f"good-{number}", loss=0, avg_latency=20) for number in range(agents)]


def bad(agents: int) -> list[Measured]:
    return [network(f"bad-{number}", loss=100) for number in range(agents)]


def texts(agent: FailingAgent) -> tuple[str, ...]:
    return tuple(reason.text for reason in agent.reasons)


def test_a_failing_agent_tells_its_newest_round_that_failed() -> None:
    rows: list[Measured] = [network(round_id=120, loss=100), http(round_id=60, error_type="dns")]
    rows += [network("b", 180, loss=0), http("b", 60, error_type="dns")]
    rows += [network("c", 60, loss=100), http("c", 120, error_type="dns")]
    told = {agent.agent_id: agent.round_id for agent in verdict_on(*rows).failing}
    assert told == {"a": 120, "b": 60, "c": 120}


@pytest.mark.parametrize(
    ("row", "reasons"),
    [
        (network(loss=0), ()),
        (network(loss=99), ()),
        (network(loss=100), ("100 % loss",)),
        (network(), ()),
        (network(error_details="ICMP is blocked on the way"), ()),
        (network(error_details="ICMP is blocked on the way", is_icmp_blocked=True), ()),
        (
            network(error_details="No host\nvpn.example.com", is_icmp_blocked=False),
            ("network error (No host vpn.example.com)",),
        ),
        (network(error_details=" ", is_icmp_blocked=False), ()),
        (network(error_details="Slow", loss=1, is_icmp_blocked=False), ()),
        (
            network(error_details="No host", loss=0, avg_latency=0, is_icmp_blocked=False),
            ("network error (No host)",),
        ),
        (network(error_details="Slow", avg_latency=9, is_icmp_blocked=False), ()),
        (network(loss=100, is_icmp_blocked=True), ()),
        (network(loss=100, is_icmp_blocked=False), ("100 % loss",)),
        (http(), ()),
        (http(error_type="none", response_code=200), ()),
        (http(error_type="None", response_code=399), ()),
        (http(response_code=400), ("HTTP status 400",)),
        (http(error_type="none", response_code=503), ("HTTP status 503",)),
        *[
            (http(error_type=kind, error_details="Broken\n"), (f"{kind} error (Broken)",))
            for kind in ("connect", "dns", "http", "send", "ssl", "receive", "quic")
        ],
        (http(error_type="dns"), ("dns error",)),
        (http(error_details="Broken"), ("HTTP error (Broken)",)),
        (http(error_type="none", error_details="Broken"), ()),
        (http(error_details="Broken", response_code=200), ()),
        (http(error_details="Broken", response_time=9), ()),
        (http(error_details="Broken", total_time=9), ()),
        (http(error_details="Broken", response_time=0, total_time=0), ("HTTP error (Broken)",)),
        (http(error_type="http", response_code=500), ("HTTP status 500", "http error")),
    ],
)
def test_without_thresholds_only_errors_and_lost_packets_fail(
    row: Measured, reasons: tuple[str, ...]
) -> None:
    verdict = verdict_on(row)
    assert verdict.name == ("failed" if reasons else "passed")
    assert [texts(agent) for agent in verdict.failing] == ([reasons] if reasons else [])


@pytest.mark.parametrize(
    "row", [network(loss=100), http(error_type="dns"), http(response_code=500)]
)
def test_thresholds_add_to_what_always_fails(row: Measured) -> None:
    generous = Thresholds(max_loss_percent=100, max_total_time_ms=1e6, min_score=0)
    assert judge([row], generous, expected=1, complete=True).name == "failed"
    assert judge([row], LIMITS, expected=1, complete=True).name == "failed"


@pytest.mark.parametrize(
    ("name", "limit", "metric", "model", "text"),
    [
        ("max_loss_percent", 5, "loss", network, "6 % loss (at most 5)"),
        ("max_loss_percent", 0, "loss", network, "1 % loss (at most 0)"),
        ("max_latency_ms", 100, "avg_latency", network, "101 ms latency (at most 100)"),
        ("max_jitter_ms", 10.5, "jitter", network, "11.5 ms jitter (at most 10.5)"),
        ("max_response_time_ms", 9, "response_time", http, "10 ms response time (at most 9)"),
        ("max_total_time_ms", 9, "total_time", http, "10 ms total time (at most 9)"),
    ],
)
def test_a_metric_may_reach_its_threshold_and_not_pass_it(
    name: str, limit: float, metric: str, model: Any, text: str
) -> None:
    thresholds: dict[str, Any] = {name: limit}
    assert verdict_on(model(**{metric: limit}), **thresholds).name == "passed"
    assert verdict_on(model(), **thresholds).name == "passed"
    verdict = verdict_on(model(**{metric: limit + 1}), **thresholds)
    assert verdict.name == "failed"
    assert texts(verdict.failing[0]) == (text,)


@pytest.mark.parametrize(("model", "kind"), [(network, "network"), (http, "HTTP")])
def test_a_score_must_reach_its_threshold(model: Any, kind: str) -> None:
    for score, name in ((60, "passed"), (59.5, "failed"), (0, "failed"), (None, "passed")):
        verdict = verdict_on(model(score={"applicationScore": score}), min_score=60)
        assert verdict.name == name
    text = f"{kind} score 59.5 (at least 60)"
    row = model(score={"applicationScore": 59.5})
    assert texts(verdict_on(row, min_score=60).failing[0]) == (text,)


def test_nothing_that_a_row_with_blocked_icmp_tells_is_judged_or_counted() -> None:
    blocked = network(
        loss=100, avg_latency=900, jitter=90, score={"applicationScore": 0}, is_icmp_blocked=True
    )
    verdict = judge([blocked], LIMITS, expected=1, complete=True)
    assert verdict.name == "passed"
    assert verdict.agents_icmp_blocked == 1
    assert verdict.loss == verdict.latency_ms == verdict.jitter_ms == Spread(None, None)
    failed = judge([blocked, http(error_type="ssl")], LIMITS, expected=1, complete=True)
    assert texts(failed.failing[0]) == ("ssl error",)


@pytest.mark.parametrize("complete", [True, False])
@pytest.mark.parametrize(
    ("rows", "thresholds", "name"),
    [
        ([], {}, "no_data"),
        ([], {"min_agents": 3}, "no_data"),
        (good(1), {}, "passed"),
        (good(7), {}, "passed"),
        (good(2), {"min_agents": 3}, "timed_out"),
        (bad(2), {"min_agents": 3}, "timed_out"),
        (good(3), {"min_agents": 3}, "passed"),
        (good(2) + bad(1), {"min_agents": 3}, "failed"),
        (good(24) + bad(1), {}, "failed"),
        (good(8) + bad(2), {"min_agents_passing_percent": 80}, "passed"),
        (good(7) + bad(3), {"min_agents_passing_percent": 80}, "failed"),
        (good(1) + bad(2), {"min_agents_passing_percent": 33.3}, "passed"),
        (bad(5), {"min_agents_passing_percent": 0.1}, "failed"),
    ],
)
def test_a_verdict_follows_from_who_answered_and_who_passed(
    rows: list[Measured], thresholds: dict[str, Any], name: str, *, complete: bool
) -> None:
    for expected in (None, 0, 25):
        verdict = verdict_on(*rows, expected=expected, complete=complete, **thresholds)
        assert verdict.name == name
        assert verdict.agents_expected == expected
        assert verdict.sentence.startswith(f"{name}: ")


def test_an_agent_passes_when_none_of_its_rows_fails() -> None:
    rows: list[Measured] = [
        http("a", error_type="none"),
        network("a", loss=0),
        http("b"),
        network("b", loss=100),
    ]
    verdict = verdict_on(*rows)
    assert (verdict.agents_answered, verdict.agents_passed) == (2, 1)
    assert [agent.agent_id for agent in verdict.failing] == ["b"]


@pytest.mark.parametrize(
    ("rows", "name"),
    [
        ([network(round_id=60, loss=100), network(round_id=120, loss=0)], "passed"),
        ([network(round_id=60, loss=0), network(round_id=120, loss=100)], "failed"),
        ([network(loss=0), network(loss=100)], "failed"),
        ([http(round_id=60, error_type="dns"), network(round_id=120, loss=0)], "failed"),
    ],
)
def test_of_an_agent_that_answered_twice_the_newest_round_of_each_kind_counts(
    rows: list[Measured], name: str
) -> None:
    for given_rows in (rows, rows[::-1]):
        verdict = verdict_on(*given_rows)
        assert verdict.name == name
        assert verdict.agents_answered == 1


def test_in_an_http_test_an_agent_has_answered_once_it_has_an_http_row_or_failed() -> None:
    fine: dict[str, Any] = {"response_code": 200}
    rows: list[Measured] = [network("http"), http("http", **fine), http("alone", **fine)]
    verdict = verdict_on(*rows, network("network"), network("cut off", loss=100), is_http=True)
    assert (verdict.agents_answered, verdict.agents_passed) == (3, 2)
    assert [agent.agent_id for agent in verdict.failing] == ["cut off"]
    assert {seen.agent_id for seen in verdict.sightings} == {"http", "alone", "cut off"}


def test_worst_and_median_are_over_agents() -> None:
    rows: list[Measured] = [
        network("a", loss=0, avg_latency=10, jitter=1),
        network("b", loss=20, avg_latency=30),
        network("c", loss=10, avg_latency=20),
        network("c", loss=10, avg_latency=15),
        http("a", response_time=100, total_time=150, response_code=200, error_type="none"),
        http("b", response_code=404, error_type="http"),
        http("c", response_time=300, total_time=400, error_type="dns"),
    ]
    verdict = verdict_on(*rows)
    assert verdict.loss == Spread(worst=20, median=10)
    assert verdict.latency_ms == Spread(worst=30, median=20)
    assert verdict.jitter_ms == Spread(worst=1, median=1)
    assert verdict.response_time_ms == Spread(worst=300, median=200)
    assert verdict.total_time_ms == Spread(worst=400, median=275)
    assert verdict.http_status_worst == 404
    assert verdict.error_types == ("dns", "http")


def test_the_worst_agents_come_first_with_their_worst_reason_first() -> None:
    rows: list[Measured] = [
        network("little", loss=6),
        network("much", loss=12, avg_latency=900),
        network("all", loss=100),
        http("error", error_type="dns"),
        network("fine", loss=0),
    ]
    verdict = judge(rows, LIMITS, expected=5, complete=True, agent_names={"little": "laptop-1"})
    assert [agent.name for agent in verdict.failing] == ["all", "error", "much", "laptop-1"]
    assert texts(verdict.failing[2]) == ("900 ms latency (at most 100)", "12 % loss (at most 5)")


@pytest.mark.parametrize(
    ("verdict", "sentence"),
    [
        (verdict_on(*good(7), expected=7), "passed: 7 of 7 agents passed"),
        (verdict_on(*good(7)), "passed: 7 of 7 agents passed"),
        (
            verdict_on(*good(7), expected=25, complete=False),
            "passed: 7 of 7 agents passed (18 more did not answer in time)",
        ),
        (
            verdict_on(*good(3), expected=3, is_http=True),
            "no_data: none of 3 expected agents answered (3 with network results only)",
        ),
        (
            verdict_on(*good(2), FINE_HTTP, expected=2, is_http=True),
            (
                "passed: 1 of 1 agents passed (1 more did not answer, 1 of them with network "
                "results only)"
            ),
        ),
        (
            verdict_on(*good(2), FINE_HTTP, min_agents=2, is_http=True),
            (
                "timed_out: 1 agents answered and no more came, at least 2 needed "
                "(1 with network results only)"
            ),
        ),
        (
            verdict_on(*good(1), network("b", is_icmp_blocked=True), expected=3),
            "passed: 2 of 2 agents passed (1 more did not answer, 1 with ICMP blocked)",
        ),
        (
            verdict_on(
                *good(1),
                *(network(agent, error_details="No host\x1b") for agent in "bc"),
                network("d", error_details="No route " + "x" * 500, score={}),
            ),
            f"passed: 4 of 4 agents passed (3 measured nothing: No host; No route {'x' * 90}…)",
        ),
        (
            verdict_on(*good(1), *bad(1), min_agents_passing_percent=50),
            "passed: 1 of 2 agents passed, bad-0: 100 % loss",
        ),
        (
            judge(
                [network("a", loss=12), *good(6)],
                Thresholds(max_loss_percent=5),
                expected=7,
                complete=True,
                agent_names={"a": "laptop-berlin-3\n"},
            ),
            "failed: 1 of 7 agents failed, laptop-berlin-3: 12 % loss (at most 5)",
        ),
        (
            verdict_on(*bad(3)),
            (
                "failed: 3 of 3 agents failed, "
                "bad-0: 100 % loss; bad-1: 100 % loss; bad-2: 100 % loss"
            ),
        ),
        (verdict_on(), "no_data: no agent answered"),
        (verdict_on(expected=0), "no_data: no agent answered"),
        (verdict_on(expected=25), "no_data: none of 25 expected agents answered"),
        (
            verdict_on(*good(1), min_agents=3, expected=25, complete=False),
            "timed_out: 1 of 25 expected agents answered by the deadline, at least 3 needed",
        ),
        (
            verdict_on(*good(2), min_agents=3),
            "timed_out: 2 agents answered and no more came, at least 3 needed",
        ),
    ],
)
def test_a_verdict_says_why_in_one_line(verdict: Verdict, sentence: str) -> None:
    assert verdict.sentence == sentence


LOSSY = [network(f"lossy-{number}", loss=6 + number, avg_latency=101) for number in range(8)]
DNS = [http(f"dns-{number}", error_type="dns", error_details=f"No {number}") for number in "123"]


@pytest.mark.parametrize(
    ("rows", "percent", "sentence"),
    [
        (bad(5), 100, "failed: 5 of 5 agents failed, all with 100 % loss, such as bad-0"),
        (
            [*good(19), *bad(7), *LOSSY],
            100,
            (
                "failed: 15 of 34 agents failed, 8 with 6 to 13 % loss (at most 5), such as "
                "lossy-7; 7 with 100 % loss, such as bad-0"
            ),
        ),
        (
            [*bad(1), *DNS, *LOSSY[:1]],
            100,
            (
                "failed: 5 of 5 agents failed, 3 with dns error, such as dns-1; bad-0 with 100 % "
                "loss; lossy-0 with 6 % loss (at most 5)"
            ),
        ),
        (
            [*good(6), *bad(4)],
            50,
            "passed: 6 of 10 agents passed; 4 failed, all with 100 % loss, such as bad-0",
        ),
        (
            [*bad(2), *(http(f"h-{status}", response_code=status) for status in range(500, 505))],
            100,
            (
                "failed: 7 of 7 agents failed, 2 with 100 % loss, such as bad-0; h-500 with HTTP "
                "status 500; h-501 with HTTP status 501; h-502 with HTTP status 502; and 2 for "
                "other reasons"
            ),
        ),
    ],
)
def test_of_many_agents_that_failed_the_reasons_are_counted(
    rows: list[Measured], percent: float, sentence: str
) -> None:
    limits = Thresholds(max_loss_percent=5, max_latency_ms=100, min_agents_passing_percent=percent)
    assert judge(rows[::-1], limits, expected=None, complete=True).sentence == sentence


@pytest.mark.parametrize(
    ("verdict", "sentence"),
    [
        (
            verdict_on(*good(7), expected=25, too_early=True),
            "passed: 7 of 7 agents passed (provisional: 18 more may still answer)",
        ),
        (
            verdict_on(*good(7), expected=25, complete=False, too_early=True),
            "passed: 7 of 7 agents passed (provisional: 18 more may still answer)",
        ),
        (
            verdict_on(*bad(1), network("b", is_icmp_blocked=True), too_early=True),
            (
                "failed: 1 of 2 agents failed (provisional: others may still answer, 1 with ICMP "
                "blocked), bad-0: 100 % loss"
            ),
        ),
        (
            verdict_on(expected=25, too_early=True),
            "no_data: none of 25 expected agents answered (provisional: they may still answer)",
        ),
        (
            verdict_on(too_early=True),
            "no_data: no agent answered (provisional: some may still answer)",
        ),
        (
            verdict_on(*good(2), FINE_HTTP, expected=2, too_early=True, is_http=True),
            (
                "passed: 1 of 1 agents passed (provisional: 1 more may still answer, 1 of "
                "them with network results only)"
            ),
        ),
        (
            verdict_on(*good(2), FINE_HTTP, expected=1, too_early=True, is_http=True),
            (
                "passed: 1 of 1 agents passed (provisional: 1 more may still answer, 1 of "
                "them with network results only)"
            ),
        ),
        (
            verdict_on(*good(1), min_agents=3, expected=25, too_early=True),
            (
                "timed_out: 1 of 25 expected agents answered so far, at least 3 needed "
                "(provisional: 24 more may still answer)"
            ),
        ),
        (
            verdict_on(*good(1), min_agents=3, expected=25, complete=False, too_early=True),
            (
                "timed_out: 1 of 25 expected agents answered by the deadline, at least 3 needed "
                "(provisional: 24 more may still answer)"
            ),
        ),
    ],
)
def test_while_agents_may_still_answer_a_verdict_says_that_it_is_provisional(
    verdict: Verdict, sentence: str
) -> None:
    assert verdict.provisional
    assert verdict.row()["provisional"] is True
    assert verdict.sentence == sentence


@pytest.mark.parametrize("expected", [0, 3, 7])
def test_when_all_have_answered_it_is_final_however_early(expected: int) -> None:
    verdict = verdict_on(*good(expected), expected=expected, too_early=True)
    assert not verdict.provisional
    assert verdict == verdict_on(*good(expected), expected=expected)


def test_a_score_beside_an_error_is_a_measurement_and_judged_as_one() -> None:
    told: dict[str, Any] = {"error_details": "No host", "score": Score(application_score=50)}
    assert verdict_on(network(**told)).agents_icmp_blocked == 0
    assert verdict_on(network(**told), min_score=50).name is VerdictName.PASSED
    assert verdict_on(network(**told), min_score=51).name is VerdictName.FAILED
    assert verdict_on(network(error_details="No host", score=Score())).agents_icmp_blocked == 1


@pytest.mark.parametrize(
    ("row", "measured"),
    [
        (network(), False),
        (network(is_icmp_blocked=False, score=Score()), False),
        (network(loss=0), True),
        (network(avg_latency=0), True),
        (network(jitter=0), True),
        (network(score=Score(application_score=0)), True),
        (http(), False),
        (http(score=Score()), False),
        (http(error_type="none"), True),
        (http(response_code=200), True),
        (http(response_time=0), True),
        (http(total_time=0), True),
        (http(score=Score(application_score=0)), True),
    ],
)
def test_a_row_without_any_metric_has_measured_nothing(row: Measured, *, measured: bool) -> None:
    note = "" if measured else " (1 measured nothing)"
    assert verdict_on(row).sentence == f"passed: 1 of 1 agents passed{note}"


@pytest.mark.parametrize(
    ("worse", "less_bad"),
    [
        ({"loss": 15}, {"avg_latency": 150}),
        ({"avg_latency": 400}, {"loss": 15}),
        ({"score": Score(application_score=20)}, {"avg_latency": 150}),
        ({"score": Score(application_score=0)}, {"avg_latency": 900}),
    ],
    ids=str,
)
def test_of_two_agents_the_one_that_is_further_beyond_its_limit_is_the_worse(
    worse: dict[str, Any], less_bad: dict[str, Any]
) -> None:
    rows = [network("a", **less_bad), network("b", **worse)]
    verdict = judge(rows, LIMITS, expected=2, complete=True)
    assert [agent.name for agent in verdict.failing] == ["b", "a"]


def test_agents_that_are_equally_bad_are_told_in_the_order_of_their_names() -> None:
    names = {"bad-0": "Zoe", "bad-1": "Ann", "bad-2": "Ann"}
    verdict = judge(bad(3), Thresholds(), expected=3, complete=True, agent_names=names)
    assert [agent.agent_id for agent in verdict.failing] == ["bad-1", "bad-2", "bad-0"]


def test_an_agent_without_a_name_goes_by_its_id() -> None:
    verdict = judge(bad(1), Thresholds(), expected=1, complete=True, agent_names={"bad-0": ""})
    assert verdict.failing[0].name == "bad-0"


def test_an_agent_whose_ping_alone_is_blocked_is_counted_as_such_too() -> None:
    verdict = verdict_on(network(is_icmp_blocked=True), http(error_type="none"))
    assert (verdict.agents_passed, verdict.agents_icmp_blocked) == (1, 1)


def test_in_short_it_tells_how_many_failed_or_passed_or_that_there_are_no_results() -> None:
    told = [verdict_on(*rows).in_short for rows in ([], good(2), [*good(1), *bad(1)])]
    assert told == ["no results", "2 of 2 passed", "1 of 2 failed"]


def test_all_that_failed_are_named_where_there_are_more_than_the_reason_names() -> None:
    assert verdict_on(*bad(3)).all_that_failed == ""
    assert verdict_on(*bad(4)).all_that_failed == "bad-0, bad-1, bad-2, bad-3"


def test_a_row_has_the_same_keys_always() -> None:
    full = verdict_on(network(loss=1, avg_latency=2, jitter=3), http(error_type="dns"), expected=1)
    assert verdict_on().row() == {
        "verdict": "no_data",
        "verdict_detail": "no_data: no agent answered",
        "provisional": False,
        "unread": False,
        "agents_expected": None,
        "agents_answered": 0,
        "agents_passed": 0,
        "agents_icmp_blocked": 0,
        "agents_failed": None,
        "loss_worst": None,
        "loss_median": None,
        "latency_ms_worst": None,
        "latency_ms_median": None,
        "jitter_ms_worst": None,
        "jitter_ms_median": None,
        "response_time_ms_worst": None,
        "response_time_ms_median": None,
        "total_time_ms_worst": None,
        "total_time_ms_median": None,
        "http_status_worst": None,
        "error_types": None,
        "thresholds": None,
    }
    assert list(full.row()) == list(verdict_on().row())
    assert (full.row()["loss_worst"], full.row()["error_types"]) == (1, "dns")


@pytest.mark.parametrize("name", list(Thresholds.model_fields))
def test_every_threshold_is_optional_described_and_bounded(name: str) -> None:
    field = Thresholds.model_fields[name]
    assert not field.is_required()
    assert str(field.description).endswith(".")
    for wrong in (-1, math.inf, math.nan, "much"):
        with pytest.raises(ValidationError):
            Thresholds(**{name: wrong})


def test_a_verdict_tells_the_thresholds_that_were_set() -> None:
    assert verdict_on(max_loss_percent=5, max_latency_ms=150.5).row()["thresholds"] == (
        "loss at most 5 %, latency at most 150.5 ms"
    )
    told: dict[str, Any] = dict.fromkeys(Thresholds.model_fields, 7)
    assert verdict_on(**told).thresholds == (
        "loss at most 7 %, latency at most 7 ms, jitter at most 7 ms, response time at most 7 ms, "
        "total time at most 7 ms, score at least 7, at least 7 agents answering, at least 7 % of "
        "the agents passing"
    )


def test_a_threshold_that_does_not_exist_is_refused() -> None:
    with pytest.raises(ValidationError):
        Thresholds.model_validate({"max_lost": 5})


AGENTS = st.sampled_from(["a", "b", "c", "d"])
ROUNDS = st.sampled_from([60, 120])
METRIC = st.none() | st.floats(0, 1000) | st.sampled_from([0, 100, 1e12, 5e-324])
LIMIT = st.none() | st.floats(0, 100)
SCORES = st.none() | st.builds(lambda score: {"applicationScore": score}, st.floats(0, 100))

network_rows = st.builds(
    network,
    AGENTS,
    ROUNDS,
    loss=METRIC,
    avg_latency=METRIC,
    jitter=METRIC,
    is_icmp_blocked=st.none() | st.booleans(),
    error_details=st.sampled_from([None, "No host"]),
    score=SCORES,
)
http_rows = st.builds(
    http,
    AGENTS,
    ROUNDS,
    error_type=st.sampled_from([None, "none", "dns", "ssl"]),
    error_details=st.sampled_from([None, "No host"]),
    response_code=st.sampled_from([None, 200, 404]),
    response_time=METRIC,
    total_time=METRIC,
    score=SCORES,
)
some_rows = st.lists(network_rows | http_rows, max_size=10)
some_thresholds = st.builds(
    Thresholds,
    max_loss_percent=LIMIT,
    max_latency_ms=LIMIT,
    max_jitter_ms=LIMIT,
    max_response_time_ms=LIMIT,
    max_total_time_ms=LIMIT,
    min_score=LIMIT,
    min_agents=st.integers(1, 4),
    min_agents_passing_percent=st.floats(1, 100),
)


@steady(60)
@given(some_rows, some_thresholds, st.data())
def test_neither_order_nor_repetition_of_rows_changes_a_verdict(
    rows: list[Measured], thresholds: Thresholds, data: st.DataObject
) -> None:
    repeated = data.draw(st.lists(st.sampled_from(rows), max_size=5)) if rows else []
    other = data.draw(st.permutations(rows + repeated))
    assert judge(rows, thresholds, expected=3, complete=True) == judge(
        other, thresholds, expected=3, complete=True
    )


@steady(60)
@given(some_rows, some_thresholds)
def test_a_good_agent_more_never_turns_passed_into_failed(
    rows: list[Measured], thresholds: Thresholds
) -> None:
    before = judge(rows, thresholds, expected=None, complete=True)
    more = [*rows, network("good", loss=0, avg_latency=0), http("good", error_type="none")]
    after = judge(more, thresholds, expected=None, complete=True)
    assert before.name != "passed" or after.name == "passed"
    assert after.agents_passed == before.agents_passed + 1
    assert after.failing == before.failing


@steady(60)
@given(some_rows, some_thresholds, st.none() | st.integers(0, 9))
def test_what_is_provisional_names_no_other_verdict(
    rows: list[Measured], thresholds: Thresholds, expected: int | None
) -> None:
    early, late = (
        judge(rows, thresholds, expected=expected, complete=True, too_early=too_early)
        for too_early in (True, False)
    )
    assert early.provisional == (expected is None or early.agents_answered < expected)
    assert not late.provisional
    assert replace(early, reason=late.reason, provisional=False) == late


@steady(60)
@given(some_rows, some_thresholds)
def test_the_agents_add_up_and_medians_lie_below_the_worst(
    rows: list[Measured], thresholds: Thresholds
) -> None:
    verdict = judge(rows, thresholds, expected=None, complete=True)
    assert verdict.agents_answered == len({row.agent_id for row in rows})
    assert verdict.agents_answered == verdict.agents_passed + len(verdict.failing)
    assert all(agent.reasons for agent in verdict.failing)
    for spread, values in (
        (verdict.loss, [r.loss for r in rows if isinstance(r, NetworkRound)]),
        (verdict.jitter_ms, [r.jitter for r in rows if isinstance(r, NetworkRound)]),
        (verdict.total_time_ms, [r.total_time for r in rows if isinstance(r, HttpRound)]),
    ):
        if spread.worst is None or spread.median is None:
            assert spread == Spread(None, None)
        else:
            assert min(v for v in values if v is not None) <= spread.median <= spread.worst


@steady(60)
@given(some_rows, some_thresholds, st.none() | st.integers(0, 9))
def test_a_row_of_a_table_is_json_and_one_line(
    rows: list[Measured], thresholds: Thresholds, expected: int | None
) -> None:
    row = judge(rows, thresholds, expected=expected, complete=False).row()
    assert json.loads(json.dumps(row, allow_nan=False)) == row
    sentence = str(row["verdict_detail"])
    assert shown(sentence) == sentence


@steady(60)
@given(st.text(), st.text(), st.text())
def test_what_the_api_says_can_be_shown(agent: str, kind: str, details: str) -> None:
    told = {"testId": "1", "agentId": agent + "x", "roundId": 60}
    [row] = rows_of([{**told, "errorType": kind, "errorDetails": details}], HttpRound)
    [mute] = rows_of([{**told, "agentId": "c", "errorDetails": details}], NetworkRound)
    verdict = verdict_on(row, mute, network("b", loss=100))
    assert shown(verdict.sentence) == verdict.sentence
    assert all(shown(text) == text for agent in verdict.failing for text in texts(agent))


def test_however_much_the_api_tells_a_verdict_stays_short() -> None:
    """A single agent may fail for any number of reasons: all rows of its newest round count."""
    rows = [
        http(error_type=f"{number} " + "x" * 500, error_details=f"{number} " + "y" * 500)
        for number in range(10_000)
    ]
    names = [network(agent=f"{number}" + "z" * 80, loss=100.0) for number in range(1_000)]
    for measured in (rows, names, [*rows, *names]):
        verdict = verdict_on(*measured)
        assert verdict.name is VerdictName.FAILED
        assert len(verdict.sentence) < 2_000
        assert len(json.dumps(verdict.row())) < 20_000
        assert len(verdict.all_that_failed) < 450


def test_all_agents_that_failed_are_in_the_row_and_a_text_names_whole_ones() -> None:
    ids = [f"b41c08e0-{number:04}-4a53-9d60-000000000000" for number in range(27)]
    verdict = verdict_on(*(network(agent, loss=100) for agent in ids))
    assert verdict.known_to_have_failed == ids
    assert verdict.row()["agents_failed"] == ", ".join(ids)
    assert verdict.all_that_failed == f"{', '.join(ids[:10])} and 17 more"
    as_before = replace(verdict, agents_failed=f"{', '.join(ids)[:399]}…")
    assert as_before.all_that_failed == verdict.all_that_failed


def test_a_name_with_a_comma_is_one_name() -> None:
    names = {"bad-0": "Smith, John"}
    verdict = judge(bad(4), Thresholds(), expected=4, complete=True, agent_names=names)
    assert verdict.known_to_have_failed == ["Smith,John", "bad-1", "bad-2", "bad-3"]


def test_a_verdict_tells_each_laptop_that_measured_and_all_that_it_told() -> None:
    guest, mac = Fact(Attribute.SSID, "on Wi-Fi Guest"), Fact(Attribute.PLATFORM, "on mac")
    rows: list[Measured] = [
        network("b", loss=0, laptop=Laptop((guest,))),
        http("b", error_type="dns", laptop=Laptop((mac,))),
        network("b", round_id=0, loss=0, laptop=Laptop((Fact(Attribute.SSID, "on Wi-Fi Old"),))),
        network("blocked", is_icmp_blocked=True, loss=100),
        network("a", loss=0, laptop=Laptop((guest,))),
    ]
    for order in (rows, rows[::-1]):
        assert verdict_on(*order).sightings == (
            Sighting("a", failed=False, laptop=Laptop((guest,))),
            Sighting("b", failed=True, laptop=Laptop((guest, mac))),
        )


def test_what_the_laptops_told_of_themselves_is_not_in_the_row() -> None:
    verdict = verdict_on(network(loss=0, laptop=Laptop((Fact(Attribute.SSID, "on Wi-Fi Guest"),))))
    assert verdict.sightings
    assert "Guest" not in json.dumps(verdict.row())
    assert "Guest" not in repr(verdict)
