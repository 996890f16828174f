"""Which tests a run is about, and which setting wins."""

import io
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flows.rerun.arguments import read_arguments
from flows.rerun.given import parameters
from flows.rerun.options import RerunOptions
from flows.rerun.parameters import Parameters
from flows.rerun.selection import (
    Selection,
    mark_possibly_sent,
    only_failed,
    possibly_sent,
    select,
)
from flows.rerun.sources import read_ids
from flows.runs.breaker import OPENING
from flows.runs.history import Died
from flows.runs.sentence import passed_and_why
from tasks.blocks import EndpointTestGroup
from tests.thousandeyes.as_written import written
from tests.thousandeyes.steady import steady
from tests.thousandeyes.test_record import verdict
from thousandeyes.delivery import Delivery
from thousandeyes.errors import InvalidTestIds, SettingsError
from thousandeyes.outcomes import Ending, Outcome, VerdictName
from thousandeyes.record import Record
from thousandeyes.thresholds import Thresholds

STRICT, LAX = Thresholds(max_loss_percent=1), Thresholds(max_loss_percent=50)


def group(*test_ids: str, **values: object) -> EndpointTestGroup:
    return EndpointTestGroup.model_validate({"test_ids": list(test_ids), **values})


def of(groups: Mapping[str, EndpointTestGroup], *test_ids: str, **given_: str) -> Selection:
    return select(test_ids, groups, given_.get("credentials"))


def test_ids_come_first_then_the_groups_in_order_and_repeats_count_once() -> None:
    groups = {"b": group("5", "1", "3"), "a": group("3", "4")}
    assert of(groups, "2", "1", "2").test_ids == ["2", "1", "5", "3", "4"]


@given(written(), st.sampled_from(["utf-8", "utf-8-sig", "utf-16"]))
@steady(50)
def test_a_list_is_the_same_wherever_it_is_read(
    drawn: tuple[list[str], list[str]], encoding: str
) -> None:
    meant, pieces = drawn
    content = "".join(pieces).encode(encoding)
    file = Path("ids.txt")
    file.write_bytes(content)
    stdin = io.TextIOWrapper(io.BytesIO(content), encoding="ascii")
    group = ["--group", "another"]  # so that there may be no ID at all
    read = {
        "file": read_ids(str(file)),
        "standard input": parameters(read_arguments([*group, "-"]), stdin).test_ids,
        "arguments": parameters(read_arguments([*group, "--", *pieces]), stdin).test_ids,
        "form": Parameters.read(test_ids=pieces).test_ids,
        "group": EndpointTestGroup(test_ids=pieces).test_ids,
    }
    assert {place: list(dict.fromkeys(ids)) for place, ids in read.items()} == dict.fromkeys(
        read, meant
    )


def test_without_any_test_it_is_told_what_to_name() -> None:
    with pytest.raises(InvalidTestIds, match=r"no tests given: name test IDs, groups of tests"):
        of({})


def test_a_group_says_name_thresholds_and_account_group_of_its_tests() -> None:
    named = group("1", "2", names={"1": "Berlin"}, thresholds=STRICT, aid="7")
    chosen = of({"a": named}, "2", "9")
    assert chosen.names == {"1": "Berlin"}
    assert chosen.thresholds == {"1": STRICT, "2": STRICT}
    assert chosen.aids == {"1": "7", "2": "7"}


def test_of_two_groups_of_a_test_the_first_that_says_anything_counts() -> None:
    groups = {
        "a": group("1", names={"1": "first"}),
        "b": group("1", "2", names={"1": "second"}, thresholds=STRICT),
        "c": group("1", thresholds=LAX, aid="7"),
    }
    chosen = of(groups)
    assert chosen.names == {"1": "first"}
    assert chosen.thresholds == {"1": STRICT, "2": STRICT}
    assert chosen.aids == {"1": "7"}


def test_the_name_that_a_group_gives_a_test_counts_before_the_one_that_the_api_lists() -> None:
    chosen = select([], {"a": group("1", names={"1": "ours"})}, None, {"1": "listed", "2": "other"})
    assert chosen.names == {"1": "ours", "2": "other"}


class TestCredentials:
    def test_are_the_groups_unless_the_run_is_given_its_own(self) -> None:
        groups = {"a": group("1", credentials="prod"), "b": group("2", credentials="prod")}
        assert of(groups, "3").credentials == "prod"
        assert of(groups, credentials="other").credentials == "other"

    def test_are_the_environments_when_nobody_names_any(self) -> None:
        assert of({"a": group("1")}, "2").credentials is None

    def test_that_differ_are_refused_and_it_is_told_what_to_do(self) -> None:
        groups = {
            "a": group("1", credentials="prod"),
            "b": group("2"),
            "c": group("3", credentials="prod"),
        }
        with pytest.raises(SettingsError) as caught:
            of(groups)
        assert "(prod for a, c, the environment for b)" in str(caught.value)
        assert "Start rerun-organizations, or give the run its credentials." in str(caught.value)
        assert of(groups, credentials="prod").test_ids == ["1", "2", "3"]


class TestRecords:
    def test_are_made_as_the_groups_say(self) -> None:
        chosen = of({"a": group("1", names={"1": "Berlin"}, aid="7")}, "2")
        assert chosen.take_up({}, Delivery.AT_LEAST_ONCE) == [
            Record("2"),
            Record("1", test_name="Berlin", aid="7"),
        ]

    def test_of_an_earlier_attempt_go_on_with_what_their_group_says_now(self) -> None:
        chosen = of({"a": group("1", "2", "3", aid="8")})
        earlier = {
            "1": Record("1", outcome=Outcome.ACCEPTED, aid="7"),
            "2": Record("2", "Paris", outcome=Outcome.FORBIDDEN, attempts=1, aid="7"),
            "4": Record("4", outcome=Outcome.SERVER_ERROR, aid="7"),
        }
        records = chosen.take_up(earlier, Delivery.AT_LEAST_ONCE)
        assert [(record.test_id, record.aid) for record in records] == [
            *(("1", "7"), ("2", "8"), ("3", "8"))
        ]
        assert (records[1].test_name, records[1].attempts) == ("Paris", 1)

    def test_of_a_test_that_is_not_sent_again_keep_where_it_was_sent(self) -> None:
        chosen = of({"a": group("1", aid="8")})
        earlier = {"1": Record("1", outcome=Outcome.UNKNOWN, aid="7")}
        assert chosen.take_up(earlier, Delivery.AT_MOST_ONCE)[0].aid == "7"

    def test_that_this_run_left_count_before_those_of_the_run_that_it_narrows(self) -> None:
        before, settled = (
            Record("1", outcome=Outcome.UNKNOWN),
            Record("1", outcome=Outcome.ACCEPTED),
        )
        chosen = replace(of({}, "1"), carried={"1": before})
        assert chosen.take_up({}, Delivery.AT_MOST_ONCE) == [before]
        assert chosen.take_up({"1": settled}, Delivery.AT_MOST_ONCE) == [settled]


PASSED = VerdictName.PASSED
ENDINGS: list[Ending] = [*Outcome, *VerdictName]


def ended(ending: Ending) -> Record:
    """Return the record of a test that ended so in an earlier run."""
    if isinstance(ending, Outcome):
        return Record("1", "Berlin", ending, "so it was", 200, 3, aid="7")
    return replace(ended(Outcome.ACCEPTED), verdict=verdict(ending))


class TestOnlyFailed:
    @pytest.mark.parametrize("delivery", Delivery)
    @pytest.mark.parametrize("waited", [False, True], ids=["sent only", "waited for results"])
    @pytest.mark.parametrize("ending", ENDINGS)
    def test_is_all_but_what_ended_well_and_a_doubt_is_settled_where_it_may_not_be_sent(
        self, ending: Ending, delivery: Delivery, *, waited: bool
    ) -> None:
        well = ending in {Outcome.SKIPPED, PASSED, *([] if waited else [Outcome.ACCEPTED])}
        doubt = ending in {Outcome.UNKNOWN, Outcome.SERVER_ERROR}
        before, then = ended(ending), RerunOptions(wait_for_results=waited)
        left = only_failed(of({}, "1", "2"), {"1": before}, then, delivery)
        records = {one.test_id: one for one in left.take_up({}, delivery)}
        assert records.pop("2") == Record("2"), "it had no turn"
        if well:
            assert records == {}
        elif doubt and delivery is Delivery.AT_MOST_ONCE:
            assert records == {"1": before}
            assert not before.needs_call(delivery)
        else:
            assert records == {"1": Record("1", "Berlin", aid="7")}, "a fresh record"
            assert records["1"].needs_call(delivery)

    def test_lets_those_that_may_stop_a_run_come_last_and_keeps_the_order_otherwise(self) -> None:
        endings: list[Ending] = [*OPENING, VerdictName.FAILED]
        before = dict(zip("abcdef", map(ended, endings), strict=True))
        chosen = of({}, *"abcdefg")
        left = only_failed(chosen, before, RerunOptions(), Delivery.AT_LEAST_ONCE)
        assert left.test_ids == list("fgabcde")

    def test_has_the_names_and_account_groups_of_the_groups_before_those_of_that_run(self) -> None:
        chosen = of({"a": group("1", "2", names={"1": "Vienna", "2": "Paris"}, aid="8")})
        before = {"1": ended(Outcome.NOT_FOUND)}
        left = only_failed(chosen, before, RerunOptions(), Delivery.AT_LEAST_ONCE)
        assert left.names == {"1": "Vienna", "2": "Paris"}
        assert left.aids == {"1": "8", "2": "8"}

    @given(
        st.sampled_from(ENDINGS),
        st.lists(st.sampled_from(ENDINGS)),
        st.booleans(),
        st.sampled_from(Delivery),
    )
    @steady(200)
    def test_holds_whatever_made_that_run_red(
        self,
        ending: Ending,
        fail_on: list[Ending],
        waited: bool,  # noqa: FBT001
        delivery: Delivery,
    ) -> None:
        then = RerunOptions(fail_on=fail_on, wait_for_results=waited)
        left = only_failed(of({}, "1"), {"1": ended(ending)}, then, delivery)
        passed, _ = passed_and_why([ended(ending)], fail_on)
        assert passed or left.test_ids == ["1"]


class TestWhatAnAttemptThatDiedMayHaveSent:
    @staticmethod
    def marked(
        records: list[Record], at_a_time: int, told: str = "", last: str = "", attempts: int = 1
    ) -> list[str]:
        died = Died(datetime.now(UTC), frozenset(told), attempts)
        mark_possibly_sent(records, at_a_time, died, lambda record: record.test_id in last)
        return [record.test_id for record in records if record.in_doubt]

    def test_is_what_comes_first_of_those_without_an_outcome(self) -> None:
        records = [Record("a", outcome=Outcome.NOT_FOUND), *map(Record, "bcd")]
        assert self.marked(records, 2) == ["b", "c"]

    def test_and_of_those_with_one_that_it_sent_again_and_told_nothing_of(self) -> None:
        again = [Outcome.FORBIDDEN, Outcome.ACCEPTED, Outcome.UNREACHABLE, Outcome.QUOTA_EXHAUSTED]
        records = [
            *(Record(one, outcome=known) for one, known in zip("abcd", again, strict=True)),
            *map(Record, "ef"),
            Record("g", outcome=Outcome.FORBIDDEN),
        ]
        assert self.marked(records, 3, told="a") == ["c", "d", "e"]

    def test_or_that_another_did_before_it_and_then_those_without_an_outcome_count_alone(
        self,
    ) -> None:
        records = [Record("a", outcome=Outcome.FORBIDDEN), *map(Record, "bc")]
        assert self.marked(records, 1, attempts=2) == ["a", "b"]

    def test_and_no_more_than_it_can_have_had_under_way_where_all_had_an_outcome(self) -> None:
        assert self.marked([Record(one, outcome=Outcome.FORBIDDEN) for one in "abcd"], 2) == [
            *("a", "b")
        ]

    def test_which_stays_as_it_is_where_it_was_in_doubt_before(self) -> None:
        records = [Record("a", outcome=Outcome.SERVER_ERROR, detail="503"), *map(Record, "bc")]
        assert self.marked(records, 1) == ["a", "b"]
        assert records[0].detail == "503"

    def test_in_each_account_group_since_one_may_have_been_left_out(self) -> None:
        records = [*(Record(one, aid="left out") for one in "abc"), *(Record(one) for one in "def")]
        assert self.marked(records, 2) == ["a", "b", "d", "e"]

    def test_and_all_that_has_run_since_shortly_before_it_as_that_comes_last(self) -> None:
        assert self.marked([*map(Record, "abcde")], 2, last="ad") == ["a", "b", "c", "d"]

    def test_counts_tests_whose_rows_tell_no_group_in_their_own(self) -> None:
        chosen = of({"left-out": group("1", "2", aid="11")}, "3", "4")
        rows = {test_id: Record(test_id) for test_id in chosen.test_ids}
        for outcomes in ({}, rows):
            assert possibly_sent(chosen, outcomes, 1, Died(datetime.now(UTC))).keys() == {"1", "3"}


TEST_IDS = st.lists(st.sampled_from("123456"), max_size=5)
SAID = st.none() | st.sampled_from("xy")
GROUPS = st.dictionaries(
    st.sampled_from("abc"),
    st.builds(lambda test_ids, aid: group(*test_ids, aid=aid), TEST_IDS.filter(bool), SAID),
)


@given(TEST_IDS, GROUPS)
@steady(100)
def test_every_test_is_there_once_where_it_came_first_with_the_first_word_on_it(
    test_ids: list[str], groups: dict[str, EndpointTestGroup]
) -> None:
    everything = [*test_ids, *(one for each in groups.values() for one in each.test_ids)]
    if not everything:
        return
    chosen = of(groups, *test_ids)
    assert sorted(chosen.test_ids) == sorted(set(everything))
    assert chosen.test_ids == sorted(chosen.test_ids, key=everything.index)
    for test_id in chosen.test_ids:
        words = [g.aid for g in groups.values() if test_id in g.test_ids and g.aid]
        assert chosen.aids.get(test_id) == (words[0] if words else None)
