"""What the person who starts a run may choose; each description stands in the UI's form."""

from pydantic import BaseModel, ConfigDict, Field

from thousandeyes.connection import MOST_CALLS
from thousandeyes.errors import Outcome
from thousandeyes.rerun import Delivery


class RerunOptions(BaseModel):
    """How a run goes about its tests."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    delivery: Delivery = Field(
        default=Delivery.AT_LEAST_ONCE,
        description=(
            "What to do when the API's answer was lost: at_least_once sends again, so that the "
            "test certainly ran, now and then twice; at_most_once never does, so that it never "
            "runs twice, and now and then stays unknown."
        ),
    )
    fail_on: list[Outcome] = Field(
        default=[o for o in Outcome if o not in (Outcome.ACCEPTED, Outcome.SKIPPED)],
        description="The run fails when a test ends in one of these; with an empty list, never.",
    )
    max_in_flight: int = Field(
        default=20,
        ge=1,
        le=MOST_CALLS,
        description="How many tests are under way at a time, those that wait for quota included.",
    )
    deadline_minutes: float | None = Field(
        default=None,
        gt=0,
        allow_inf_nan=False,
        description=(
            "No test is sent later than this many minutes after the start; what is left is "
            "reported as not_attempted. Empty: no deadline."
        ),
    )
