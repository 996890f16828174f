from pathlib import Path

import pytest

from thousandeyes.simulator import Fault, Options, create_app
from thousandeyes.simulator.options import ScenarioError, read_scenario


@pytest.fixture
def scenario(tmp_path: Path) -> Path:
    return tmp_path / "scenario.yaml"


def test_a_scenario_holds_any_of_the_options(scenario: Path) -> None:
    scenario.write_text(
        """
        tests: ["202701", "344811"]
        instant_limit: 2
        window_seconds: 1
        rate_headers: []
        faults:
          "202701": {replies: [503, dropped_after], latency_seconds: 0.2}
        """
    )
    options = Options(**read_scenario(scenario))
    assert options.tests == ["202701", "344811"]
    assert options.rate_headers == []
    assert options.faults["202701"] == Fault(replies=[503, "dropped_after"], latency_seconds=0.2)


def test_an_empty_scenario_is_all_defaults(scenario: Path) -> None:
    scenario.write_text("# nothing yet\n")
    assert Options(**read_scenario(scenario)) == Options()


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("instant_limits: 3", "instant_limits: Extra inputs are not permitted"),
        ("instant_limit: '3'", "instant_limit: Input should be a valid integer"),
        ("window_seconds: 0", "window_seconds: Input should be greater than 0"),
        ("window_seconds: .inf", "window_seconds: Input should be a finite number"),
        ("tests: [202701]", "Input should be a valid string"),
        ("tests: ['1', '1']", "lists an ID twice"),
        ("{tests: ['1'], faults: {'2': {}}}", "faults names tests that tests does not list: 2"),
        ("faults: {'1': {replies: [exploded]}}", "faults.1.replies.0"),
        ("faults: {'1': {reply: [503]}}", "faults.1.reply: Extra inputs are not permitted"),
        ("- 1", "expected options"),
        ("{", "while parsing"),
    ],
)
def test_a_wrong_scenario_is_refused_with_its_place(
    scenario: Path, text: str, complaint: str
) -> None:
    scenario.write_text(text)
    with pytest.raises(ScenarioError) as error:
        read_scenario(scenario)
    assert str(error.value).startswith(f"{scenario}: ")
    assert complaint in str(error.value)


def test_a_missing_scenario_is_refused(scenario: Path) -> None:
    with pytest.raises(ScenarioError, match="No such file"):
        read_scenario(scenario)


def test_an_unknown_option_is_refused() -> None:
    with pytest.raises(ValueError, match="Extra inputs"):
        create_app(instant_limits=3)


def test_a_test_that_a_fault_names_is_held_as_well() -> None:
    simulator = create_app(tests=2, faults={"202701": Fault(replies=[503])}).state.simulator
    assert len(simulator.test_ids) == 3
    assert simulator.test_ids[-1] == "202701"


def test_the_token_is_not_in_what_is_printed_of_the_options() -> None:
    assert "s3cret" not in repr(Options(token="s3cret"))
