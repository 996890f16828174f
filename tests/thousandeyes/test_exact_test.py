import math
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.thousandeyes.steady import steady
from thousandeyes.exact_test import log_chance


@st.composite
def groups(draw: st.DrawFn, largest: int = 300) -> tuple[int, int, int, int]:
    everyone = draw(st.integers(1, largest))
    group, all_failed = draw(st.integers(0, everyone)), draw(st.integers(0, everyone))
    least = max(0, group + all_failed - everyone)
    return draw(st.integers(least, min(group, all_failed))), group, all_failed, everyone


def exactly(failed: int, group: int, all_failed: int, everyone: int) -> Fraction:
    """Return the same in whole numbers, as the textbook has it."""
    ways = sum(
        math.comb(all_failed, number) * math.comb(everyone - all_failed, group - number)
        for number in range(failed, min(group, all_failed) + 1)
        if number <= group
    )
    return Fraction(ways, math.comb(everyone, group))


def logarithm(fraction: Fraction) -> float:
    return math.log(fraction.numerator) - math.log(fraction.denominator)


def test_the_lady_who_tastes_tea_is_told_by_all_four_cups() -> None:
    # R. A. Fisher, The Design of Experiments, 1935, chapter 2: 1 in 70, and 17 in 70.
    assert math.exp(log_chance(4, 4, 4, 8)) == pytest.approx(1 / 70)
    assert math.exp(log_chance(3, 4, 4, 8)) == pytest.approx(17 / 70)


@given(groups())
@steady(300)
def test_it_is_what_whole_numbers_give(table: tuple[int, int, int, int]) -> None:
    assert log_chance(*table) == pytest.approx(logarithm(exactly(*table)), abs=1e-8)


@given(groups())
@steady(100)
def test_group_and_failures_may_change_places(table: tuple[int, int, int, int]) -> None:
    failed, group, all_failed, everyone = table
    assert log_chance(*table) == pytest.approx(
        log_chance(failed, all_failed, group, everyone), abs=1e-8
    )


def test_what_is_too_small_for_a_float_is_told() -> None:
    assert log_chance(2000, 2000, 2000, 10_000) == pytest.approx(
        -logarithm(Fraction(math.comb(10_000, 2000))), rel=1e-9
    )
    assert log_chance(2000, 2000, 2000, 10_000) < -1000


@pytest.mark.parametrize("table", [(5, 4, 5, 8), (0, 4, 5, 8), (1, 9, 1, 8), (1, 1, 9, 8)])
def test_a_group_that_can_not_be_is_refused(table: tuple[int, int, int, int]) -> None:
    with pytest.raises(ValueError, match="no group"):
        log_chance(*table)
