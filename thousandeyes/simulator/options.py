"""Every option, defined once for the factory, the scenario file and the command line."""

from pathlib import Path
from typing import Any, Final, Literal, Self

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from .dialects import Dialect
from .faults import Behaviour, Fault, ResultReply
from .quota import Beginning, Family, Rounding
from .surroundings import Cause

EVERY_TEST = "*"
DEFAULT_TOKEN = "sim-token"  # noqa: S105  shown on the page, so that a first run needs no setup


Interval = Literal[60, 120, 300, 600, 900, 1800, 3600]
"""What the API's description allows."""
USUAL_INTERVAL: Final = 60


class ScenarioError(ValueError):
    """A scenario file, or an option of the command line, can't be used; the message says why."""


_USUAL = Behaviour()


class Options(BaseModel):
    """What the simulator holds, how many calls it grants, and how it behaves."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    token: str = Field(DEFAULT_TOKEN, min_length=1, repr=False, description="The bearer token.")
    aid: str = Field("1234", min_length=1, description="The token's account group.")
    tests: int | list[str] = Field(
        48, description="The number of instant tests, or their IDs; half of each kind."
    )
    agents: int = Field(25, ge=0, le=150_000, description="The number of endpoint agents.")
    max_machines: int = Field(25, ge=0, description="The most agents that run a test.")
    seed: int = Field(0, description="Each seed makes other IDs, names and metrics.")
    instant_limit: int = Field(24, ge=0, description="Runs and creations granted in a window.")
    organization_limit: int = Field(240, ge=0, description="Calls granted in a window.")
    window_seconds: float = Field(60.0, gt=0, description="Length of both quota windows.")
    windows: Beginning = Field(
        "clock",
        description="Whether windows begin by the clock, or with their first_call.",
    )
    rate_headers: list[Family] = Field(
        default=["organization", "instant"],
        description="The families that replies have headers of; both are enforced.",
    )
    dialects: list[Dialect] = Field(
        default=[], description="How replies differ from the API's description."
    )
    reset_rounding: Rounding = Field("up", description="How Reset is rounded to seconds.")
    clock_offset_seconds: float = Field(0.0, description="How far the server's clock is ahead.")
    latency_seconds: float = Field(0.0, ge=0, description="Delay of every reply.")
    results_after_seconds: float = Field(
        5.0, ge=0, description="A round's rows appear after this time, or up to twice as long."
    )
    page_size: int = Field(100, ge=1, description="Results and agents on one page.")
    hide_instant_tests: bool = Field(
        default=False, description="Leave instant tests out of the lists of tests."
    )
    healthy: bool = Field(
        default=False, description="No losses or errors but those of agents_of, causes and noise."
    )
    noise: float = Field(
        0.0, ge=0, le=1, description="The fraction of agents' rounds that fail by chance."
    )
    causes: list[Cause] = Field(
        default_factory=list, description="What cuts certain laptops off from every target."
    )
    earlier_round_seconds: float = Field(
        0.0, ge=0, description="Each test has a round this long before the start; 0: none."
    )
    faults: dict[str, Fault] = Field(
        default_factory=dict, description="How the run calls of these tests misbehave, by test ID."
    )
    creation_faults: dict[str, Fault] = Field(
        default_factory=dict, description="How the creations of tests misbehave, by test name."
    )
    agents_of: dict[str, list[Behaviour]] = Field(
        default_factory=dict, description="What agents do in these tests, by test ID; * for all."
    )
    intervals: dict[str, Interval] = Field(
        default_factory=dict,
        description="Seconds between a test's rounds, by test ID; * for all; 60 by default.",
    )
    result_replies: list[ResultReply] = Field(
        default_factory=list, description="The replies to calls for results, one entry per call."
    )

    unreadable: list[str] = Field(
        default_factory=list,
        description="The tests for which calls for results are refused, also for several tests.",
    )

    @property
    def told_of(self) -> list[str]:
        """The IDs of the tests that are to behave in some unusual way."""
        told = {**self.faults, **self.agents_of, **self.intervals, **dict.fromkeys(self.unreadable)}
        return [test for test in told if test != EVERY_TEST]

    def interval(self, test_id: str) -> int:
        """Return the seconds between a test's rounds."""
        of_all = self.intervals.get(EVERY_TEST, USUAL_INTERVAL)
        return self.intervals.get(test_id, of_all)

    def behaviour(self, test_id: str, place: int) -> Behaviour:
        """Return what the agent with this index does in a test; the first match counts."""
        for told in self.agents_of.get(test_id, []) + self.agents_of.get(EVERY_TEST, []):
            if told.agents is None or place in told.agents:
                return told
        return _USUAL

    @model_validator(mode="after")
    def _check_ids(self) -> Self:
        if isinstance(self.tests, int):
            if not 0 <= self.tests <= 100_000:  # noqa: PLR2004  said in the message
                raise ValueError("tests must be a number from 0 to 100000 or a list of test IDs")
            return self
        if len(set(self.tests)) != len(self.tests) or not all(self.tests):
            raise ValueError("tests lists an ID twice, or an empty one")
        told = {
            "faults": set(self.faults),
            "agents_of": set(self.agents_of) - {EVERY_TEST},
            "intervals": set(self.intervals) - {EVERY_TEST},
            "unreadable": set(self.unreadable),
        }
        for name, ids in told.items():
            if unknown := sorted(ids - set(self.tests)):
                raise ValueError(
                    f"{name} names tests that tests does not list: {', '.join(unknown)}"
                )
        return self


def read_scenario(path: Path) -> dict[str, Any]:
    """Return the options that a YAML file holds, checked strictly; raise `ScenarioError`."""
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ScenarioError(f"{path}: {error}") from None
    if content is None:
        return {}
    if not isinstance(content, dict):
        raise ScenarioError(f"{path}: expected options as `name: value`, one per line")
    try:
        Options.model_validate(content, strict=True)
    except ValidationError as error:
        raise ScenarioError(f"{path}: {explain(error)}") from None
    return content


def explain(error: ValidationError) -> str:
    """Return what is wrong with some options in one line, with the name of each."""
    return "; ".join(
        ": ".join([*filter(None, [".".join(map(str, e["loc"]))]), e["msg"]])
        for e in error.errors(include_url=False, include_input=False)
    )
