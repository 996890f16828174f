from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid5

from flows.runs.calls import Call, same_call

NAMESPACE = UUID("0d0e0f00-0000-4000-8000-000000000000")


def at(second: float) -> datetime:
    return datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=second)


STARTS = [at(0), at(100), at(200)]


def call(run: str, name: str, given: str, *seconds: float) -> Call:
    """Return a call that was made at the first of these seconds."""
    parameters: Mapping[str, Any] = {"test_ids": list(given)}
    return Call(uuid5(NAMESPACE, run), name, parameters, [at(one) for one in seconds])


def same(run: str, *calls: Call) -> list[str]:
    """Return the runs that are the same call as this one, with all they were given once each."""
    found = same_call(uuid5(NAMESPACE, run), calls, STARTS)
    names = {uuid5(NAMESPACE, letter): letter for letter in "ABCDEF"}
    return sorted(names[one] for one in found)


def test_calls_that_came_in_another_order_are_told_by_what_they_were_given() -> None:
    calls = call("A", "x-0", "1", 1), call("B", "x-1", "2", 2)
    again = call("C", "x-0", "2", 101), call("D", "x-1", "1", 102)
    assert same("C", *calls, *again) == same("B", *calls, *again) == ["B", "C"]
    assert same("D", *calls, *again) == same("A", *calls, *again) == ["A", "D"]


def test_calls_that_prefect_does_not_number_are_told_by_what_they_were_given() -> None:
    calls = call("A", "x-2a6b", "1", 1), call("B", "x-97c1", "2", 2)
    again = call("C", "x-f00d", "2", 101)
    assert same("C", *calls, again) == ["B", "C"]
    assert same("A", *calls, again) == ["A"]


def test_calls_before_and_after_something_that_were_given_the_same_are_two() -> None:
    before, after = call("A", "x-0", "1", 1), call("B", "x-1", "1", 2)
    again = call("C", "x-0", "1", 101), call("D", "x-1", "1", 102)
    assert same("A", before, after) == ["A"]
    assert same("B", before, after) == ["B"]
    assert same("C", before, after, *again) == ["A", "C"]
    assert same("D", before, after, *again) == ["B", "D"]
    assert same("D", before, *again) == ["D"], "the first attempt made one call only"


def test_a_run_that_prefect_executes_again_is_a_call_of_both_attempts() -> None:
    before = call("A", "x-0", "1", 1, 101)  # the parent died during it
    after = call("B", "x-1", "1", 102)
    assert same("B", before, after) == ["B"]
    assert same("A", before, after) == ["A"]


def test_a_call_whose_tests_changed_meanwhile_is_told_by_its_number() -> None:
    calls = call("A", "x-0", "1", 1), call("B", "x-1", "2", 2)
    again = call("C", "x-0", "13", 101), call("D", "x-1", "2", 102)
    assert same("C", *calls, *again) == ["A", "C"]
    assert same("A", *calls, *again) == ["A", "C"]


def test_a_call_of_that_number_that_is_another_one_is_left_to_it() -> None:
    first = call("A", "x-0", "1", 1)
    again = call("B", "x-0", "2", 101), call("C", "x-1", "1", 102)
    assert same("B", first, *again) == ["B"]
    assert same("C", first, *again) == ["A", "C"]


def test_which_other_calls_there_are_the_latest_attempt_tells() -> None:
    first = call("A", "x-0", "2", 1)
    again = call("B", "x-0", "1", 101, 201), call("C", "x-1", "2", 202)
    assert same("B", first, *again) == ["B"]
    assert same("C", first, *again) == ["A", "C"]
