"""What the person who starts a run may choose; the UI's form shows each description."""

from collections.abc import Callable
from typing import Annotated, Final, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema

from thousandeyes.connection import MOST_CALLS
from thousandeyes.delivery import Delivery
from thousandeyes.errors import SettingsError
from thousandeyes.outcomes import GOOD, Ending, Outcome, VerdictName
from thousandeyes.standing import Change
from thousandeyes.thresholds import Thresholds

ENDINGS: Final = (*Outcome, *VerdictName)

CHOICES: Final = (*ENDINGS, Change.NEW_FAILURE)

USUAL: Final = ["wait_for_results", "thresholds", "only_failed_of", "dry_run", "fail_on"]
"""The options that a form begins with; all others are on its second tab."""

MOST_MINUTES: Final = 365 * 24 * 60
"""A year, the longest time that an option takes: far longer times lead past the last date."""


def _chosen(word: object) -> object:
    if word not in CHOICES:
        raise ValueError(f"takes {', '.join(CHOICES)}")
    return word


# One list of choices in the form and in errors, instead of a choice between kinds of choices.
Choice = Annotated[
    Ending | Literal[Change.NEW_FAILURE],
    BeforeValidator(_chosen),
    WithJsonSchema({"type": "string", "enum": [str(choice) for choice in CHOICES]}),
]


def _usual_ones(thresholds: object) -> object:
    return Thresholds() if thresholds is None else thresholds


class RerunOptions(BaseModel):
    """How a run works, in the order of the form: the most used options first."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, json_schema_extra=lambda schema: schema.update(usual=USUAL)
    )

    wait_for_results: bool = Field(
        default=False,
        description=(
            "Whether to wait for what the agents measure, and to judge it: each test that was "
            "accepted then passed, failed, had no_data or timed_out. Without it nothing is judged, "
            "and options for that, such as thresholds, are refused."
        ),
    )
    thresholds: Annotated[Thresholds, BeforeValidator(_usual_ones)] = Field(
        default=Thresholds(),
        description="What the measurements must keep to.",
    )
    only_failed_of: str | None = Field(
        default=None,
        description=(
            "Run only what did not end well in an earlier run: a flow run's ID, or a deployment "
            "such as rerun-endpoint-tests/scheduled for its last run that sent something. A test "
            "ended well when it was accepted and, where that run waited for results, passed, or "
            "when it was skipped. A test that made that run fail never counts as having ended "
            "well. If you name tests too, only those among them are run. In rerun-organizations: "
            "the ID of one of its runs."
        ),
    )
    dry_run: bool = Field(
        default=False,
        description=(
            "Only find out what would run, how long it takes, how many agents are online and what "
            "is wrong, and record that plan. No test is run."
        ),
    )
    fail_on: list[Choice] = Field(
        default=[ending for ending in ENDINGS if ending not in GOOD],
        description=(
            "The run fails when a test ends in one of these; with an empty list, never. Passed, "
            "failed, no_data and timed_out occur only with wait_for_results. new_failure: the test "
            "did not end well, and is not known to have failed in the earlier run; one that was "
            "not sent did not fail: also name not_attempted, or a run that stops early may pass."
        ),
    )
    name_pattern: str | None = Field(
        default=None,
        description=(
            "Also run the tests that the API lists under a name that fits, such as Payroll*. "
            "It may not list instant tests."
        ),
    )
    test_ids_file: str | None = Field(
        default=None,
        description=(
            "Also run the tests whose IDs are in this text file on the worker: one per line, or "
            "as a spreadsheet or a person writes them; # begins a comment."
        ),
    )
    skip_if_run_within_minutes: float | None = Field(
        default=None,
        gt=0,
        le=MOST_MINUTES,
        allow_inf_nan=False,
        description=(
            "Skip tests whose latest round began less than this many minutes ago. Empty: skip none."
        ),
    )
    compare_with: str | None = Field(
        default=None,
        description=(
            "The earlier run that this one is compared with: a flow run's ID, a deployment such as "
            "rerun-endpoint-tests/scheduled for its last run that sent something, or the word "
            "nothing. Empty: the run that only_failed_of names, else the last one of this run's "
            "own deployment. In rerun-organizations: the ID of one of its runs, a deployment of "
            "rerun-endpoint-tests, or nothing."
        ),
    )
    deadline_minutes: float | None = Field(
        default=None,
        gt=0,
        le=MOST_MINUTES,
        allow_inf_nan=False,
        description=(
            "Send no test later than this many minutes after the run begins preparing its calls; "
            "a retry starts counting again. What is left is reported as not_attempted. Empty: no "
            "deadline."
        ),
    )
    results_deadline_minutes: float = Field(
        default=5,
        gt=0,
        le=MOST_MINUTES,
        allow_inf_nan=False,
        description=(
            "Wait at most this many minutes after a test's call for its results. The wait ends "
            "sooner once all expected agents have answered, or no more results arrive. "
            "at_most_once waits as long for the results of a test whose answer was lost."
        ),
    )
    expected_agents: int | None = Field(
        default=None,
        ge=1,
        description=(
            "Stop waiting for a test once this many agents have answered. Empty: all that are "
            "online at the start and that the test may use."
        ),
    )
    delivery: Delivery = Field(
        default=Delivery.AT_LEAST_ONCE,
        description=(
            "What to do when the API's answer was lost: at_least_once sends again, so that the "
            "test certainly ran, now and then twice; at_most_once never does, so that it never "
            "runs twice, and now and then stays unknown."
        ),
    )
    max_in_flight: int = Field(
        default=20,
        ge=1,
        le=MOST_CALLS,
        description="How many tests are under way at a time, including those waiting for quota.",
    )
    link_to_app: bool = Field(
        default=True,
        description=(
            "Whether to record a link to each test's results in the ThousandEyes app. Best "
            "effort, because the API provides no such link."
        ),
    )
    name_laptops_and_networks: bool = Field(
        default=True,
        description=(
            "Whether to record the names of laptops that failed, the names and addresses of "
            "networks that failing ones share, and the addresses on their paths. Off: laptops are "
            "named by their agents' IDs, and networks by kind, such as: on one Wi-Fi network."
        ),
    )
    paths_of_failing_agents: int = Field(
        default=0,
        ge=0,
        le=10,
        description=(
            "For each failed test, read the paths of up to this many failing agents and say where "
            "each ends. This happens once all results are in; each path takes a call, made only "
            "while at least half of the organization's quota is left. 0: none."
        ),
    )

    def check_results_are_awaited(self, written: Callable[[str], str] = str) -> None:
        """Refuse options for judging results in a run that doesn't wait for them.

        Forms send defaults too, so only other values count as chosen. How long to wait changes no
        ending, and may be set anyway.

        Args:
            written: Returns how the caller writes an option.

        Raises:
            SettingsError: Some were given; names them.
        """
        if self.wait_for_results:
            return
        needs = ["thresholds", "paths_of_failing_agents"]
        if self.delivery is Delivery.AT_LEAST_ONCE:  # else results may settle a doubt
            needs.append("expected_agents")
        usual = RerunOptions()
        given = [name for name in needs if getattr(self, name) != getattr(usual, name)]
        if self.fail_on and {*self.fail_on} <= {*VerdictName}:
            given.append("fail_on")
        if given:
            it = "it" if len(given) == 1 else "them"
            raise SettingsError(
                f"{', '.join(map(written, given))}: no effect in a run that does not wait for "
                f"results. Add {written('wait_for_results')}, or leave {it} out. Nothing was sent."
            )
