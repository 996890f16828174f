"""The promise about calls whose answer was lost, and what may be sent again under it."""

from enum import StrEnum

from thousandeyes.errors import CallFailed


class Delivery(StrEnum):
    """What may be sent again when nobody can tell whether a call was carried out."""

    AT_LEAST_ONCE = "at_least_once"
    """Sent again: the test certainly ran, sometimes twice."""
    AT_MOST_ONCE = "at_most_once"
    """Not sent again: the test never runs twice, but sometimes nobody knows whether it ran."""


def may_send_again(error: CallFailed, delivery: Delivery) -> bool:
    """Tell whether a failed call may be sent once more under this promise."""
    return error.may_pass and not (error.in_doubt and delivery is Delivery.AT_MOST_ONCE)
