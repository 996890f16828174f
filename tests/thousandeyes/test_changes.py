"""What changed since an earlier run, over runs in a row, each read back from its rows."""

import json
import random
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.rows import from_row, row
from thousandeyes import drift
from thousandeyes.changes import carried, compared, gone, is_failing, is_newly_failing, judged_anew
from thousandeyes.judging import judge
from thousandeyes.outcomes import Ending, Outcome, VerdictName
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


def test_a_call_that_was_taken_is_no_recovery_of_laptops_that_failed() -> None:
    nights = night_after_night(
        [[ended("1", night, verdict)] for night, verdict in enumerate([BAD, None, None, GOOD])]
    )
    assert [standing(night[0]).change for night in nights] == [
        *(None, "unchanged", "unchanged", "recovered")
    ]
    assert [standing(night[0]).failing_runs for night in nights] == [1, 1, 1, 0]


def test_a_row_of_version_0_1_0_that_failed_is_a_failure_since_then() -> None:
    old = from_row(row(ended("1", 0, BAD)))
    now = compared(ended("1", 1, BAD), old, "run")
    assert (now.change, now.failing_since, now.failing_runs) == ("still_failing", NIGHT, 2)
    assert now.history == "✗✗"
    skipped = compared(Record("1", outcome=Outcome.SKIPPED), old, "run")
    assert (skipped.change, skipped.failing_since, skipped.failing_runs) == ("unchanged", NIGHT, 1)
    assert skipped.history == "✗·"


def test_a_failure_that_made_no_call_is_one_since_its_end() -> None:
    record = Record("1", outcome=Outcome.QUOTA_EXHAUSTED, finished_at=NIGHT)
    assert compared(record, None, None).failing_since == NIGHT


def changes(*endings: Ending) -> list[Change | None]:
    """Return what becomes of a test that ends so, night after night."""
    nights = []
    for night, ending in enumerate(endings):
        if isinstance(ending, VerdictName):
            nights.append([ended("1", night, measured(ending))])
        else:
            at = NIGHT + timedelta(days=night)
            nights.append([Record("1", outcome=ending, attempts=1, started_at=at)])
    return [standing(night[0]).change for night in night_after_night(nights)]


PASSED, FAILED, NO_DATA = VerdictName.PASSED, VerdictName.FAILED, VerdictName.NO_DATA
ACCEPTED, SKIPPED, NOT_FOUND = Outcome.ACCEPTED, Outcome.SKIPPED, Outcome.NOT_FOUND
NOT_MEASURED = [
    *(NO_DATA, VerdictName.TIMED_OUT, Outcome.UNKNOWN, Outcome.UNREACHABLE),
    *(Outcome.QUOTA_EXHAUSTED, Outcome.SERVER_ERROR, NOT_FOUND, SKIPPED, ACCEPTED),
]


@pytest.mark.parametrize("unmeasured", NOT_MEASURED)
def test_laptops_that_fail_still_do_only_if_they_failed_when_last_measured(
    unmeasured: Ending,
) -> None:
    assert changes(FAILED, unmeasured, FAILED)[-1] is Change.STILL_FAILING
    assert changes(PASSED, unmeasured, FAILED)[-1] is Change.NEW_FAILURE
    assert changes(PASSED, unmeasured, unmeasured, FAILED)[-1] is Change.NEW_FAILURE
    never = changes(unmeasured, FAILED)[-1]
    assert never in {Change.NEW, Change.NEW_FAILURE}


def test_a_failure_after_nights_without_a_measurement_counts_from_the_first_that_failed() -> None:
    endings = [BAD, NO_ANSWER, BAD], [NO_ANSWER, NO_ANSWER, BAD]
    counted = []
    for verdicts in endings:
        nights = night_after_night([[ended("1", n, one)] for n, one in enumerate(verdicts)])
        last = standing(nights[-1][0])
        counted.append((last.failing_runs, last.failing_since))
    assert counted == [(3, NIGHT), (1, NIGHT + timedelta(days=2))]


@pytest.mark.parametrize(
    ("endings", "change"),
    [
        ([NO_DATA, PASSED], Change.NEW),
        ([Outcome.UNREACHABLE, PASSED], Change.NEW),
        ([FAILED, NO_DATA, PASSED], Change.RECOVERED),
        ([NOT_FOUND, PASSED], Change.RECOVERED),
        ([NOT_FOUND, ACCEPTED], Change.RECOVERED),
        ([Outcome.UNREACHABLE, SKIPPED, ACCEPTED], Change.RECOVERED),
        ([FAILED, SKIPPED, ACCEPTED], Change.UNCHANGED),
        ([FAILED, Outcome.UNREACHABLE, ACCEPTED], Change.UNCHANGED),
        ([NO_DATA, SKIPPED, ACCEPTED], Change.UNCHANGED),
        ([FAILED, SKIPPED, ACCEPTED, PASSED], Change.RECOVERED),
        ([NOT_FOUND, Outcome.NOT_ATTEMPTED, PASSED], Change.RECOVERED),
        ([NOT_FOUND, Outcome.UNREACHABLE, PASSED], Change.RECOVERED),
        ([NO_DATA, Outcome.UNREACHABLE, PASSED], Change.NEW),
    ],
)
def test_a_test_recovers_only_from_what_it_is_known_to_have_failed_by(
    endings: list[Ending], change: Change
) -> None:
    assert changes(*endings)[-1] is change


@pytest.mark.parametrize(
    ("before", "now", "change"),
    [
        (NO_DATA, NO_DATA, Change.STILL_FAILING),
        (NO_DATA, NOT_FOUND, Change.NEW),
        (NOT_FOUND, NOT_FOUND, Change.STILL_FAILING),
        (NOT_FOUND, NO_DATA, Change.NEW),
        (Outcome.UNREACHABLE, Outcome.UNKNOWN, Change.STILL_FAILING),
        (Outcome.UNREACHABLE, NO_DATA, Change.NEW),
        (Outcome.UNREACHABLE, NOT_FOUND, Change.NEW),
        (FAILED, Outcome.UNREACHABLE, Change.STILL_FAILING),
        (FAILED, NO_DATA, Change.STILL_FAILING),
        (FAILED, NOT_FOUND, Change.NEW_FAILURE),
        (FAILED, Outcome.INVALID, Change.NEW_FAILURE),
        (FAILED, Outcome.FORBIDDEN, Change.NEW_FAILURE),
        (PASSED, Outcome.QUOTA_EXHAUSTED, Change.NEW_FAILURE),
    ],
)
def test_without_a_measurement_only_the_same_once_more_is_no_news(
    before: Ending, now: Ending, change: Change
) -> None:
    assert changes(before, now)[-1] is change


def test_laptops_that_failed_excuse_a_refused_call_only_from_its_second_night_on() -> None:
    assert changes(FAILED, NOT_FOUND, NOT_FOUND, Outcome.UNREACHABLE, NOT_FOUND, FAILED)[1:] == [
        Change.NEW_FAILURE,
        *[Change.STILL_FAILING] * 4,
    ]


@pytest.mark.parametrize("ending", [NOT_FOUND, NO_DATA, Outcome.FORBIDDEN])
@pytest.mark.parametrize(
    "nothing_heard",
    [
        *([Outcome.NOT_ATTEMPTED], [SKIPPED], [Outcome.UNREACHABLE], [Outcome.QUOTA_EXHAUSTED]),
        *([Outcome.UNKNOWN], [Outcome.SERVER_ERROR, Outcome.NOT_ATTEMPTED]),
    ],
)
def test_nights_of_which_nothing_was_heard_make_no_news_of_what_was_so_before(
    ending: Ending, nothing_heard: list[Ending]
) -> None:
    assert changes(*[ending] * 5, *nothing_heard, ending)[-1] is Change.STILL_FAILING
    assert changes(*nothing_heard, ending)[-1] is Change.NEW
    assert changes(PASSED, *nothing_heard, ending)[-1] is Change.NEW_FAILURE


def changes_by(*verdicts: Verdict) -> list[Change | None]:
    nights = night_after_night([[ended("1", night, one)] for night, one in enumerate(verdicts)])
    return [standing(night[0]).change for night in nights]


def test_a_night_whose_results_could_not_be_read_makes_no_news_of_what_was_so_before() -> None:
    unread = replace(NO_ANSWER, unread=True)
    missing = [Record("1", outcome=NOT_FOUND, attempts=1) for _ in range(2)]
    nights = night_after_night([missing[:1], [ended("1", 1, unread)], missing[1:]])
    assert standing(nights[-1][0]).change is Change.STILL_FAILING
    verdicts = [NO_ANSWER, unread, NO_ANSWER, unread, unread, BAD, unread, BAD]
    assert changes_by(*verdicts) == [*(None, *["still_failing"] * 4, "new", *["still_failing"] * 2)]
    assert changes_by(GOOD, unread, unread, GOOD) == [None, *["unchanged"] * 3]
    assert changes_by(GOOD, unread, BAD) == [None, "unchanged", "new_failure"]
    assert changes_by(GOOD, unread, NO_ANSWER) == [None, "unchanged", "new_failure"]
    assert changes_by(unread, BAD) == [None, "new"]


def test_results_that_could_not_be_read_fail_a_run_unless_the_test_failed_before() -> None:
    unread = replace(NO_ANSWER, unread=True)
    for before, is_news in ((GOOD, True), (BAD, False)):
        nights = night_after_night([[ended("1", 0, before)], [ended("1", 1, unread)]])
        assert is_newly_failing(nights[-1][0]) is is_news
        assert standing(nights[-1][0]).failing_runs == (0 if is_news else 2)


@pytest.mark.parametrize(
    ("endings", "change"),
    [
        ([GOOD, NO_ANSWER], Change.UNCHANGED),
        ([BAD, NO_ANSWER], Change.RECOVERED),
        ([NO_ANSWER, NO_ANSWER], Change.NEW),
    ],
)
def test_a_test_that_passed_after_all_fails_no_more_also_where_the_earlier_run_is_gone(
    endings: list[Verdict], change: Change
) -> None:
    nights = [[ended("1", night, verdict)] for night, verdict in enumerate(endings)]
    last = night_after_night(nights)[-1][0]
    last.stands(replace(standing(last), moved="1 laptop fails that did not before"))
    last.judged(GOOD)
    for _ in range(2):
        last.stands(judged_anew(last, standing(last)))
        now = standing(last)
        assert (now.change, now.failing_since, now.failing_runs) == (change, None, 0)
        assert now.moved == ""
        assert now.last_measured is now.last_heard is VerdictName.PASSED


def test_loss_beyond_what_is_usual_is_told_as_lossier() -> None:
    nights = [[ended("1", n, GOOD)] for n in range(6)]
    nights.append([ended("1", 6, measured(VerdictName.PASSED, loss=4))])
    assert standing(night_after_night(nights)[-1][0]).moved == "lossier: loss 4 %, usually 0 %"


def answered(verdict: Verdict, agents: int, *, provisional: bool = False) -> Verdict:
    return replace(verdict, agents_answered=agents, provisional=provisional)


def moved(*verdicts: Verdict) -> str:
    """Return what is worse than usual in the last of these nights."""
    nights = [[ended("1", night, verdict)] for night, verdict in enumerate(verdicts)]
    return standing(night_after_night(nights)[-1][0]).moved


def test_a_test_that_passes_with_far_fewer_agents_than_usual_is_told_and_their_values_are_not() -> (
    None
):
    usual = [answered(GOOD, 25)] * 7
    slow = measured(VerdictName.PASSED, 180)
    told = "fewer agents: 1 answered, usually 25"
    assert moved(*usual, answered(slow, 1)) == told
    assert moved(*usual, answered(slow, 20)) == "slower: latency 180 ms, usually 30 ms"
    assert not moved(*usual, answered(slow, 1), answered(GOOD, 25)), "its value is not kept"
    assert moved(*usual[:1], answered(GOOD, 1)) == told, "one run is enough to know"
    assert moved(answered(BAD, 25), answered(GOOD, 1)) == told, "also where it seems to recover"
    assert not moved(answered(GOOD, 4), answered(GOOD, 2)), "two may be off by chance"
    assert not moved(*usual, answered(GOOD, 13))


def test_what_few_agents_measured_is_not_kept_for_what_is_usual() -> None:
    few = answered(measured(VerdictName.PASSED, 180), 1)
    nights = [[ended("1", night, one)] for night, one in enumerate([answered(GOOD, 25), few])]
    recent = standing(night_after_night(nights)[-1][0]).recent
    assert recent == {"latency_ms": (30.0,), "loss": (0.0,), "agents": (25.0, 1.0)}


def test_nothing_is_kept_of_a_run_in_which_too_few_agents_answered_to_judge() -> None:
    too_few = answered(measured(VerdictName.TIMED_OUT, 180), 1)
    nights = [[ended("1", night, one)] for night, one in enumerate([GOOD, too_few])]
    first, last = (standing(night[0]) for night in night_after_night(nights))
    assert last.recent == first.recent


@pytest.mark.parametrize(
    ("agents", "before", "far_fewer"), [(1, 4, True), (1, 3, False), (5, 10, False), (4, 10, True)]
)
def test_agents_are_far_fewer_below_half_of_them_and_by_three(
    agents: int,
    before: int,
    far_fewer: bool,  # noqa: FBT001
) -> None:
    assert drift.are_far_fewer(agents, before) is far_fewer


def test_agents_that_may_still_answer_are_not_missed_yet() -> None:
    early = answered(measured(VerdictName.PASSED, 180), 1, provisional=True)
    assert not moved(*[answered(GOOD, 25)] * 7, early)


@pytest.mark.parametrize("values", [6, 10, 20])
def test_steady_noise_is_rarely_called_worse_than_usual(values: int) -> None:
    rng = random.Random(values)
    rounds = 2_000

    def latency() -> float:
        return max(1.0, rng.gauss(40, 8))

    called = sum(
        bool(
            drift.moved(
                {"latency_ms": tuple(latency() for _ in range(values))}, {"latency_ms": latency()}
            )
        )
        for _ in range(rounds)
    )
    assert called / rounds < 0.01


@pytest.mark.parametrize(
    ("usual", "now", "told"),
    [
        ([100] * 6, 110, ""),
        ([100] * 6, 111, "slower: latency 111 ms, usually 100 ms"),
        ([20] * 6, 25, ""),
        ([20] * 6, 26, "slower: latency 26 ms, usually 20 ms"),
        ([100, 110] * 3, 173, ""),
        ([100, 110] * 3, 174, "slower: latency 174 ms, usually 100 ms"),
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
