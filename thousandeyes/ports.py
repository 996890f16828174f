"""Ports: what one is, one of this machine's own, and arguments for `argparse`."""

import socket
from argparse import ArgumentTypeError
from typing import Final

HOST: Final = "127.0.0.1"
"""Where the servers of this project answer: this machine alone."""
LAST: Final = 65_535


def bind(port: int) -> socket.socket:
    """Return a socket that keeps a port of `HOST` from others. Until it listens, calls are refused.

    Args:
        port: 0 takes a free one.

    Raises:
        OSError: The port is taken, or only for the system's own services.
    """
    # asyncio turns off Nagle's algorithm only for sockets whose protocol is given; with it, a reply
    # on a kept-alive connection takes 40 ms.
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((HOST, port))
    except OSError:
        listener.close()
        raise
    return listener


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
