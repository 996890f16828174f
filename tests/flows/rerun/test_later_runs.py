"""Within which time the runs of others are looked for, and where rounds of calls in doubt begin."""

import logging
from datetime import UTC, datetime, timedelta
from unittest.mock import AsyncMock
from uuid import uuid4

import pytest
from prefect.client.schemas.objects import FlowRun

from flows.rerun import RerunOptions
from flows.rerun.baseline import Baseline
from flows.rerun.later_runs import Others, rounds_of_others, windows
from tests.flows.rerun.world import NOON, World
from tests.thousandeyes.virtual_time import run
from thousandeyes.errors import ReplyLost
from thousandeyes.outcomes import Outcome
from thousandeyes.own_rounds import OwnRounds, own_rounds
from thousandeyes.record import Record

NOW = datetime(2026, 11, 28, 22, tzinfo=UTC)
LOGGER = logging.getLogger("world")
RUN = FlowRun(flow_id=uuid4(), start_time=NOW)


def sent(test_id: str, ago: timedelta) -> Record:
    at = NOW - ago
    after = int(at.timestamp()) - 60
    return Record(test_id, outcome=Outcome.UNKNOWN, started_at=at, rounds_after=after)


def lengths(*records: Record) -> list[timedelta]:
    found = windows(RUN, records, lambda record: own_rounds(record.rounds_after or 0, 60))
    return [last - began for began, last in found]


def test_a_doubt_of_a_month_ago_has_no_month_of_runs_read() -> None:
    month, minute = timedelta(days=30), timedelta(minutes=1)
    [old] = lengths(sent("1", month))
    assert old < timedelta(hours=2)
    assert lengths(sent("1", month), sent("2", minute), sent("3", month)) == [old, old]


def test_windows_that_overlap_are_one() -> None:
    early, late = timedelta(minutes=40), timedelta(minutes=10)
    [both] = lengths(sent("1", late), sent("2", early))
    assert both == lengths(sent("2", early))[0] + early - late


def test_a_window_within_another_leaves_it_as_long_as_it_is() -> None:
    hourly, often = sent("1", timedelta(minutes=40)), sent("2", timedelta(minutes=39))
    intervals = {"1": 3600, "2": 60}

    def own(record: Record) -> OwnRounds:
        return own_rounds(record.rounds_after or 0, intervals[record.test_id])

    assert windows(RUN, [hourly, often], own) == windows(RUN, [hourly], own)


def test_tests_of_which_nobody_knows_their_rounds_have_none() -> None:
    assert windows(RUN, [sent("1", timedelta())], lambda _: None) == []


def test_a_call_of_which_another_run_has_no_answer_may_have_begun_a_round_too() -> None:
    at = datetime.fromtimestamp(NOON + 100, UTC)
    record, world = Record("1", outcome=Outcome.UNKNOWN, started_at=at), World(tests=1)

    async def main() -> None:
        async with world.client() as client:
            await client.tests()
            baseline = Baseline(client, RerunOptions(), LOGGER)
            assert baseline.rounds_after(record) is None
            assert baseline.rounds_after(record, doubts_too=True) == NOON

    run(main())


def test_the_rounds_of_a_call_whose_answer_was_lost_count_though_it_is_sent_again() -> None:
    record, world = Record("1"), World(tests=["1"])

    async def main() -> None:
        async with world.client() as client:
            await client.tests()
            baseline = Baseline(client, RerunOptions(wait_for_results=True), LOGGER)
            await baseline.read({}, [record])
            for _ in range(2):
                record.sending(NOW)
                baseline.note_rounds(record)
                assert record.rounds_after == NOON - 60
                record.failed(ReplyLost("lost"))
                world.starts_at += 120

    run(main())


@pytest.mark.parametrize(("attempts", "bounds"), [(0, {}), (1, {"1": [int(NOW.timestamp()) - 60]})])
def test_a_call_of_another_run_that_did_not_go_out_after_all_bounds_no_rounds(
    attempts: int, bounds: Others, monkeypatch: pytest.MonkeyPatch
) -> None:
    record, other = sent("1", timedelta(minutes=1)), sent("1", timedelta())
    other.attempts = attempts
    found = {"_runs": [RUN], "runs_of": [], "read_outcomes": [other]}
    for name, answer in found.items():
        asked = AsyncMock(return_value=answer)
        monkeypatch.setattr(f"flows.rerun.later_runs.{name}", asked)

    async def main() -> None:
        async with World(tests=1).client() as client:
            baseline = Baseline(client, RerunOptions(), LOGGER)
            assert await rounds_of_others(RUN, [record], baseline) == bounds

    run(main())
