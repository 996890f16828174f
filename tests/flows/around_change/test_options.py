"""What the form of a run around a change offers, and what it refuses."""

import pytest
from pydantic import ValidationError

from flows.around_change import AroundChangeOptions, rerun_around_change
from flows.around_change.options import UNFIT
from flows.rerun import RerunOptions
from flows.rerun.comparison import NOTHING

pytestmark = pytest.mark.usefixtures("prefect_server")

SCHEMA = rerun_around_change.parameters


def test_every_field_is_described_none_is_required_and_the_first_are_those_of_a_rerun() -> None:
    options = SCHEMA.definitions["AroundChangeOptions"]["properties"]
    assert list(SCHEMA.properties) == [
        "test_ids",
        "groups",
        "credentials",
        "until",
        "longest_wait_hours",
        "options",
    ]
    assert list(options) == [name for name in RerunOptions.model_fields if name not in UNFIT]
    for field in (*SCHEMA.properties.values(), *options.values()):
        assert field["description"].endswith(".")
        assert "default" in field
    assert SCHEMA.required == []


@pytest.mark.parametrize("name", UNFIT)
def test_what_would_keep_the_halves_from_being_compared_is_refused(name: str) -> None:
    default = RerunOptions.model_fields[name].default
    with pytest.raises(ValidationError, match=f"a run around a change does not take {name}"):
        AroundChangeOptions.model_validate({name: default})


def test_both_halves_wait_for_results_and_share_all_but_what_is_their_own() -> None:
    options = AroundChangeOptions(max_in_flight=3, results_deadline_minutes=2)
    half = options.of_half(compare_with=NOTHING, fail_on=[])
    assert half == RerunOptions(
        max_in_flight=3,
        results_deadline_minutes=2,
        wait_for_results=True,
        compare_with=NOTHING,
        fail_on=[],
    )
    assert options.of_half().fail_on == ["new_failure", "not_attempted"]
