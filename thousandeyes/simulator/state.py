"""What the simulator knows while it runs, and what tests may ask it."""

import random
import time
from collections.abc import Callable
from dataclasses import dataclass

from .dialects import Dialect
from .faults import FaultPlan, ResultFaults
from .inventory import EndpointTest, new_test_id, seeded_agents, seeded_tests
from .options import Options
from .quota import Quota


@dataclass
class Call:
    """One call to the API: what came in, and what has gone out so far."""

    at: float
    """When it came in, in epoch seconds of the server's clock."""
    method: str
    path: str
    test_id: str | None = None
    """The test that a run, a creation or a read of one test is about."""
    status: int | None = None
    """The reply's status; None until headers are sent, or if they never are."""
    applied: bool = False
    """Whether it made a test run."""


class Simulator:
    """The state behind one application; `clock` returns epoch seconds."""

    def __init__(self, options: Options, clock: Callable[[], float] = time.time) -> None:
        self.options = options
        self.calls: list[Call] = []
        self.quota = Quota(
            organization_limit=options.organization_limit,
            instant_limit=options.instant_limit,
            window_seconds=options.window_seconds,
            begins=options.windows,
            reset_rounding=options.reset_rounding,
        )
        self.faults = FaultPlan(options.faults)
        self.creation_faults = FaultPlan(options.creation_faults)
        self.result_faults = ResultFaults(options.result_replies)
        self.agents = seeded_agents(
            options.seed, options.agents, deleted=self.speaks("deleted_agents")
        )
        self.tests = {
            test.id: test
            for test in seeded_tests(
                options.seed, options.tests, options.told_of, options.max_machines
            )
        }
        self.run_times: dict[str, list[float]] = {test_id: [] for test_id in self.tests}
        self._clock = clock
        earlier = options.earlier_round_seconds
        self.earlier_rounds = [self.now() - earlier] if earlier else []
        self._rng = random.Random(f"created {options.seed}")  # noqa: S311  repeatable on purpose

    @property
    def token(self) -> str:
        """The bearer token that it accepts."""
        return self.options.token

    @property
    def aid(self) -> str | int:
        """The token's account group, as replies show it."""
        told = self.options.aid
        return int(told) if self.speaks("numeric_aid") and told.isdigit() else told

    def speaks(self, dialect: Dialect) -> bool:
        """Tell whether replies differ from the API's description in this way."""
        return dialect in self.options.dialects

    @property
    def test_ids(self) -> list[str]:
        """The IDs of the tests that it holds, the created ones last."""
        return list(self.tests)

    def runs(self, test_id: str) -> int:
        """Return how often a test was made to run, its creation included."""
        return len(self.run_times.get(test_id, ()))

    def now(self) -> float:
        """Return the server's time, in epoch seconds."""
        return self._clock() + self.options.clock_offset_seconds

    def run(self, test_id: str, call: Call) -> None:
        """Apply a run."""
        self.run_times[test_id].append(self.now())
        call.test_id, call.applied = test_id, True

    def new_id(self) -> tuple[str, random.Random]:
        """Return an ID that no test has yet, and the random source for the rest of a new test."""
        return new_test_id(self._rng, self.tests), self._rng

    def add(self, test: EndpointTest) -> None:
        """Add a test."""
        self.tests[test.id] = test
        self.run_times[test.id] = []
