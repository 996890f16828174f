"""What somebody looks for among the listed tests."""

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


@given(st.text())
def test_every_name_fits_the_star(name: str) -> None:
    assert is_named(name, "*")
