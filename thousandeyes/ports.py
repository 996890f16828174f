"""What a port is, and port arguments for `argparse`."""

from argparse import ArgumentTypeError
from typing import Final

LAST: Final = 65_535


def is_port(number: int | None) -> bool:
    """Tell whether an address with this port has a port that exists, or the usual one: `None`."""
    return number is None or 0 < number <= LAST


def port_of(text: str, first: int = 1) -> int:
    """Return the port that an argument names; `first` is 0 if 0 may ask for a free port.

    Raises:
        ArgumentTypeError: The argument is not a port.
    """
    try:
        number = int(text)
    except ValueError:
        number = -1
    if not first <= number <= LAST:
        raise ArgumentTypeError(f"a port is a number from {first} to {LAST}")
    return number


def port_or_free(text: str) -> int:
    """Return the port that an argument names, or 0, which asks for a free port.

    Raises:
        ArgumentTypeError: The argument is neither.
    """
    return port_of(text, 0)
