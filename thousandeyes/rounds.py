"""What one laptop measured in one round, as the API's results report it.

Unknown fields are ignored. Every field may be missing except the three that identify the row, and a
field that holds something unexpected counts as missing. Times are in milliseconds. Source: the
vendor's OpenAPI description 7.0.110, as its client 6.0.0 has it, and, for units, the earlier
version's documents.
"""

from typing import Annotated, Final, TypeVar

from pydantic import (
    AfterValidator,
    AliasGenerator,
    ConfigDict,
    Field,
    InstanceOf,
    ValidationError,
)
from pydantic.alias_generators import to_camel

from thousandeyes.laptop import UNTOLD, Laptop, laptop_of
from thousandeyes.missing import NO_FLAG, Lenient
from thousandeyes.text import cut

_BEYOND_ANY_MEASUREMENT: Final = 1e12
_LONGEST_ERROR_TYPE: Final = 40
_LONGEST_DETAILS: Final = 100
_LONGEST_TEXT: Final = 500
_LONGEST_ID: Final = 100
_LAST_ROUND: Final = 4_102_444_800  # the year 2100: no real round is later

AnyRow = TypeVar("AnyRow", bound="Row")


Number = Annotated[
    Annotated[float, Field(ge=0, le=_BEYOND_ANY_MEASUREMENT, allow_inf_nan=False)] | None,
    NO_FLAG,
]
Status = Annotated[Annotated[int, Field(ge=100, le=999)] | None, NO_FLAG]
Text = Annotated[str, AfterValidator(lambda text: text[:_LONGEST_TEXT])] | None


class _Told(Lenient):
    model_config = ConfigDict(
        coerce_numbers_to_str=True,
        alias_generator=AliasGenerator(validation_alias=to_camel),
        populate_by_name=True,
    )


class Score(_Told):
    """The API's own opinion of a round."""

    application_score: Number = None
    """From 0 to 100; 100 is best."""


class Row(_Told):
    """What all results have in common."""

    test_id: str = Field(min_length=1, max_length=_LONGEST_ID)
    agent_id: str = Field(min_length=1, max_length=_LONGEST_ID)
    """A UUID."""
    round_id: int = Field(ge=0, le=_LAST_ROUND)
    """The round's start in epoch seconds by the server's clock, a multiple of the interval."""
    laptop: InstanceOf[Laptop] = UNTOLD
    """What the laptop reported about itself with this row."""
    error_details: Text = None

    @property
    def details(self) -> str:
        """What it says about an error, in one short line; empty if it says nothing."""
        return cut(self.error_details or "", _LONGEST_DETAILS)


class _Scored(Row):
    score: Score | None = None

    @property
    def points(self) -> float | None:
        """Its score, from 0 to 100, if it has one."""
        return self.score.application_score if self.score else None


class NetworkRound(_Scored):
    """One row of network results; HTTP tests have these too."""

    loss: Number = None
    """Packets that did not arrive, in percent."""
    avg_latency: Number = None
    """Mean round trip in milliseconds."""
    jitter: Number = None
    """Standard deviation of the latency in milliseconds."""
    is_icmp_blocked: bool | None = None
    """Whether the target does not answer pings, so that the row measured nothing."""

    @property
    def only_error(self) -> str:
        """The details of its error if it measured nothing, otherwise empty.

        Zeros beside an error are numbers that nobody set.
        """
        return "" if self.loss or self.avg_latency else self.details

    @property
    def is_empty(self) -> bool:
        """Whether it holds neither a metric nor an error."""
        told = (self.loss, self.avg_latency, self.jitter, self.points)
        return not self.details and all(value is None for value in told)


class HttpRound(_Scored):
    """One row of HTTP server results."""

    error_type: Text = None
    """`none`, or the phase that failed: `dns`, `connect`, `ssl`, `send`, `receive`, `http`."""
    response_code: Status = None
    """The server's HTTP status."""
    response_time: Number = None
    """Time to the first byte in milliseconds."""
    total_time: Number = None
    """Response time and receive time together, in milliseconds."""

    @property
    def error(self) -> str | None:
        """The error type, if there was an error; the API's earlier version wrote `None` if not."""
        kind = cut(self.error_type or "", _LONGEST_ERROR_TYPE)
        return None if kind.lower() in ("", "none") else kind

    @property
    def only_error(self) -> str:
        """The details of its error if it names no error type and measured nothing.

        Zeros beside an error are numbers that nobody set.
        """
        told = (self.error_type, self.response_code, self.response_time, self.total_time)
        return "" if any(told) else self.details

    @property
    def is_empty(self) -> bool:
        """Whether it holds neither a metric nor an error."""
        told = (self.error_type, self.response_code, self.response_time, self.total_time)
        return not self.details and all(value is None for value in (*told, self.points))


Measured = NetworkRound | HttpRound
"""The rows that verdicts are based on."""


def rows_of(items: list[object], model: type[AnyRow], only_test: str | None = None) -> list[AnyRow]:
    """Return the rows that name their test, agent and round; others can't be attributed.

    Args:
        items: The rows as the API returned them.
        model: What to read them as.
        only_test: The test that was asked for, if it was just one: a row that names no test counts
            as this one's.
    """
    rows = []
    for item in items:
        if not isinstance(item, dict):
            continue
        if only_test and item.get("testId") is None:
            item = {**item, "testId": only_test}  # noqa: PLW2901 - the same row, attributed
        try:
            row = model.model_validate({**item, "laptop": laptop_of(item)})
        except ValidationError:
            continue
        rows.append(row)
    return rows
