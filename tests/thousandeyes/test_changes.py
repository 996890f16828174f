"""What changed since an earlier run, over runs in a row, each read back from its rows."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.rows import from_row, row
from thousandeyes import drift
from thousandeyes.changes import carried, compared, gone, is_failing, sentences
from thousandeyes.judging import judge
from thousandeyes.outcomes import Outcome, VerdictName
from thousandeyes.record import Record
from thousandeyes.standing import Change, Standing
from thousandeyes.thresholds import Thresholds
from thousandeyes.verdict import Spread, Verdict

NIGHT = datetime(2026, 11, 20, 2, tzinfo=UTC)
NO_ANSWER = judge((), Thresholds(), expected=None, complete=True)


def measured(name: VerdictName, latency: float = 30.0, loss: float = 0.0) -> Verdict:
    return replace(
        NO_ANSWER,
        name=name,
        agents_answered=5,
        latency_ms=Spread(latency, latency),
        loss=Spread(loss, loss),
    )


def ended(test_id: str, night: int, verdict: Verdict | None) -> Record:
    at = NIGHT + timedelta(days=night)
    return Record(test_id, outcome=Outcome.ACCEPTED, attempts=1, started_at=at, verdict=verdict)


def standing(record: Record) -> Standing:
    assert record.standing
    return record.standing


def night_after_night(nights: list[list[Record]]) -> list[list[Record]]:
    """Compare each night with the one before, as it is read back from its rows."""
    earlier: dict[str, Record] = {}
    for number, records in enumerate(nights):
        for record in records:
            with_run = str(number - 1) if number else None
            record.stands(compared(record, earlier.get(record.test_id), with_run))
        told = [*records, *carried(records, earlier)]
        kept = [from_row(json.loads(json.dumps(row(record)))) for record in told]
        earlier = {record.test_id: record for record in kept}
    return nights


GOOD, BAD = measured(VerdictName.PASSED), measured(VerdictName.FAILED)


class TestTenNights:
    """A test breaks in run 4 and recovers in 8, one flaps, one grows slower, one comes and goes."""

    @staticmethod
    def scene() -> list[dict[str, Standing]]:
        nights = []
        for night in range(1, 11):
            records = [
                ended("breaks", night, BAD if 4 <= night < 8 else GOOD),
                ended("flaps", night, GOOD if night % 2 else BAD),
                ended("grows", night, measured(VerdictName.PASSED, 30 + 4.0 * night)),
            ]
            if night in (1, 2, 5, 6, 9):
                records.append(ended("comes", night, GOOD))
            nights.append(records)
        night_after_night(nights)
        return [{record.test_id: standing(record) for record in night} for night in nights]

    def test_a_test_that_breaks_is_new_then_still_failing_then_recovered(self) -> None:
        told = [night["breaks"] for night in self.scene()]
        assert [one.change for one in told] == [
            None,
            *["unchanged"] * 2,
            "new_failure",
            *["still_failing"] * 3,
            "recovered",
            *["unchanged"] * 2,
        ]
        assert [one.failing_runs for one in told] == [0, 0, 0, 1, 2, 3, 4, 0, 0, 0]
        assert {one.failing_since for one in told[3:7]} == {NIGHT + timedelta(days=4)}

    def test_a_test_that_flaps_fails_anew_and_recovers_in_turn(self) -> None:
        told = [night["flaps"].change for night in self.scene()]
        assert told == [None, *["new_failure", "recovered"] * 4, "new_failure"]

    def test_a_test_that_grows_slowly_slower_is_told_once_that_is_certain(self) -> None:
        told = [night["grows"].moved for night in self.scene()]
        assert told[:6] == [""] * 6, "too little is known"
        assert told[-1] == "slower: latency 70 ms, usually 42 ms"
        assert all(told[told.index(next(filter(None, told))) :]), "it stays told"

    def test_each_carries_a_mark_of_every_run_with_the_newest_right(self) -> None:
        nights = self.scene()
        last = {test_id: one.history for night in nights for test_id, one in night.items()}
        assert last == {
            "breaks": "✓✓✓✗✗✗✗✓✓✓",
            "flaps": "✓✗✓✗✓✗✓✗✓✗",
            "grows": "✓✓✓✓✓✓✓✓✓✓",
            "comes": "✓✓··✓✓··✓",
        }
        for number, night in enumerate(nights, start=1):
            for test_id, one in night.items():
                assert one.history == last[test_id][:number]

    def test_a_test_that_comes_and_goes_is_new_and_gone(self) -> None:
        nights = self.scene()
        told = [night["comes"].change for night in nights if "comes" in night]
        assert told == [None, "unchanged", "new", "unchanged", "new"]
        names = [{name: Record(name) for name in night} for night in nights]
        lost = [
            [one.test_id for one in gone(now.values(), before)] for before, now in pairwise(names)
        ]
        assert [number + 2 for number, tests in enumerate(lost) if tests] == [3, 7, 10]
        assert lost[1] == ["comes"]


def test_the_sentences_name_the_tests_and_say_since_when() -> None:
    nights = night_after_night([[ended("1", n, BAD), ended("2", n, GOOD)] for n in range(2)])
    assert sentences(nights[-1], [Record("3", test_name="Intranet")]) == [
        "Still failing: 1 (2 runs in a row, since 20 November 2026, 02:00 UTC).",
        "No longer part of the run: Intranet.",
    ]


def test_where_nothing_changed_there_is_nothing_to_say() -> None:
    assert sentences(night_after_night([[ended("1", n, GOOD)] for n in range(2)])[-1]) == []


def test_a_call_that_was_taken_is_no_recovery_of_laptops_that_failed() -> None:
    nights = night_after_night(
        [[ended("1", night, verdict)] for night, verdict in enumerate([BAD, None, None, GOOD])]
    )
    assert [standing(night[0]).change for night in nights] == [
        *(None, "unchanged", "unchanged", "recovered")
    ]
    assert [standing(night[0]).failing_runs for night in nights] == [1, 1, 1, 0]


def test_a_row_of_version_0_1_0_that_failed_is_a_failure_since_then() -> None:
    old = from_row({"test_id": "1", "outcome": "not_found", "started_at": NIGHT.isoformat()})
    now = compared(ended("1", 1, BAD), old, "run")
    assert (now.change, now.failing_since, now.failing_runs) == ("still_failing", NIGHT, 2)
    assert now.history == "✗✗"
    skipped = compared(Record("1", outcome=Outcome.SKIPPED), old, "run")
    assert (skipped.change, skipped.failing_since, skipped.failing_runs) == ("unchanged", NIGHT, 1)
    assert skipped.history == "✗·"


def test_a_failure_that_made_no_call_is_one_since_its_end() -> None:
    record = Record("1", outcome=Outcome.QUOTA_EXHAUSTED, finished_at=NIGHT)
    assert compared(record, None, None).failing_since == NIGHT


def test_loss_beyond_what_is_usual_is_told_as_lossier() -> None:
    nights = [[ended("1", n, GOOD)] for n in range(6)]
    nights.append([ended("1", 6, measured(VerdictName.PASSED, loss=4))])
    assert standing(night_after_night(nights)[-1][0]).moved == "lossier: loss 4 %, usually 0 %"


@pytest.mark.parametrize(
    ("usual", "now", "told"),
    [
        ([100] * 6, 110, ""),
        ([100] * 6, 111, "slower: latency 111 ms, usually 100 ms"),
        ([20] * 6, 25, ""),
        ([20] * 6, 26, "slower: latency 26 ms, usually 20 ms"),
        ([100, 110] * 3, 136, ""),
        ([100, 110] * 3, 137, "slower: latency 137 ms, usually 100 ms"),
        ([10, 10, 10, 90, 90, 90, 90], 30, "slower: latency 30 ms, usually 10 ms"),
        ([20] * 5, 90, ""),
    ],
)
def test_a_value_is_worse_beyond_what_steps_share_and_spread_allow(
    usual: list[float], now: float, told: str
) -> None:
    assert drift.moved({"latency_ms": tuple(usual)}, {"latency_ms": now}) == told


def test_of_what_was_measured_the_latest_values_are_kept() -> None:
    recent = {"loss": tuple(map(float, range(drift.MOST_KEPT)))}
    kept = drift.remembered(recent, {"loss": 99.0})
    assert kept == {"loss": (*recent["loss"][1:], 99.0)}


def test_what_failed_is_not_usual_and_a_test_that_recovers_is_not_called_slower() -> None:
    slow, slow_and_bad = (measured(name, 90) for name in (VerdictName.PASSED, VerdictName.FAILED))
    nights = [*[GOOD] * 6, slow_and_bad, slow, slow]
    told = night_after_night([[ended("1", n, verdict)] for n, verdict in enumerate(nights)])
    assert standing(told[6][0]).recent["latency_ms"] == (30.0,) * 6
    assert [standing(night[0]).moved for night in told[6:]] == [
        *("", "", "slower: latency 90 ms, usually 30 ms")
    ]


def test_a_test_is_gone_once_and_then_carried_on_in_silence() -> None:
    missing = ended("1", 0, GOOD)
    missing.stands(compared(missing, None, None))
    assert gone([], {"1": missing}) == [missing]
    [kept] = carried([], {"1": missing})
    assert gone([], {"1": kept}) == []


endings = st.sampled_from([GOOD, BAD, "skipped", "gone"])


@given(st.lists(endings, max_size=12))
def test_the_row_of_one_earlier_run_is_enough_to_count(history: list[Verdict | str]) -> None:
    nights: list[list[Record]] = []
    for number, ending in enumerate(history):
        record = ended("1", number, ending if isinstance(ending, Verdict) else None)
        if ending == "skipped":
            record.skipped("on purpose")
        nights.append([] if ending == "gone" else [record])
    night_after_night(nights)
    row_of_failures, was_failing, known, marks = 0, False, False, ""
    for ending, night in zip(history, nights, strict=True):
        if ending == "gone":
            row_of_failures, was_failing, known = 0, False, False
            marks = f"{marks}·" if marks.strip("·") else ""
            continue
        marks += "·" if ending == "skipped" else "✗" if ending is BAD else "✓"
        now = standing(night[0])
        fails = is_failing(night[0])
        if isinstance(ending, Verdict):
            row_of_failures = row_of_failures + 1 if fails else 0
            expected = {
                (False, True): Change.NEW_FAILURE,
                (True, True): Change.STILL_FAILING,
                (True, False): Change.RECOVERED,
                (False, False): Change.UNCHANGED,
            }[was_failing, fails]
            was_failing, known_before, known = fails, known, True
            assert now.change in (None, expected if known_before else Change.NEW)
        assert now.failing_runs == row_of_failures
        assert now.history == marks
        assert bool(now.failing_since) == bool(row_of_failures)


@given(endings, endings, st.integers(1, 3))
def test_comparing_again_says_the_same(one: Verdict | str, two: Verdict | str, times: int) -> None:
    earlier, now = (
        ended("1", night, verdict if isinstance(verdict, Verdict) else None)
        for night, verdict in enumerate((one, two))
    )
    earlier.stands(compared(earlier, None, None))
    first = compared(now, earlier, "run")
    for _ in range(times):
        now.stands(compared(now, earlier, "run"))
    assert now.standing == first
