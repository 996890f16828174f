"""What somebody looks for among the listed tests."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from thousandeyes.finding import is_named, matching
from thousandeyes.models import EndpointTest

PAYROLL = EndpointTest(testId="2", testName="Payroll (Turin)", type="agent-to-server")
INTRANET = EndpointTest(testId="1", testName="intranet", type="http-server", isEnabled=False)
FILES = EndpointTest(testId="3", testName="File share", type="agent-to-server", isEnabled=True)
ALL = [PAYROLL, INTRANET, FILES]


def test_everything_matches_by_default_and_is_ordered_by_name() -> None:
    assert matching(ALL) == [FILES, INTRANET, PAYROLL]


def test_a_pattern_fits_the_whole_name_in_any_case() -> None:
    assert matching(ALL, name="payroll*") == [PAYROLL]
    assert matching(ALL, name="payroll") == []
    assert matching(ALL, name="*RA*") == [INTRANET]


def test_only_tests_of_a_type() -> None:
    assert matching(ALL, kind="agent-to-server") == [FILES, PAYROLL]


def test_a_test_that_the_api_does_not_call_disabled_counts_as_enabled() -> None:
    assert matching(ALL, enabled=True) == [FILES, PAYROLL]
    assert matching(ALL, enabled=False) == [INTRANET]


@pytest.mark.parametrize(
    "listed",
    [" Payroll DE", "Payroll\u00a0 DE", "Pay\u200broll DE", "\tPAYROLL DE "],
    ids=ascii,
)
def test_a_name_is_found_as_it_is_shown(listed: str) -> None:
    test = EndpointTest(testId="1", testName=listed)
    for pattern in ("Payroll*", "payroll de", " Payroll  D?"):
        assert matching([test], name=pattern) == [test]


def test_the_form_of_an_accent_makes_no_difference() -> None:
    test = EndpointTest(testId="1", testName="Bu\u0308ro 東京")
    assert matching([test], name="b\u00fcro *") == [test]


def test_blanks_before_a_name_do_not_change_its_place() -> None:
    second = EndpointTest(testId="4", testName=" Help desk")
    assert matching([*ALL, second]) == [FILES, second, INTRANET, PAYROLL]


@given(st.text())
def test_every_name_fits_the_star(name: str) -> None:
    assert is_named(name, "*")


@given(st.text())
def test_every_name_fits_itself_also_with_what_patterns_are_made_of(name: str) -> None:
    assert is_named(f"[EU] {name}", f"[eu] {name}")
