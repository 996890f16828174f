"""Which ports a command takes, and what it says to others."""

import socket
from argparse import ArgumentTypeError

import pytest

from thousandeyes.ports import bind, port_of, port_or_free


@pytest.mark.parametrize("number", [1, 4200, 65_535])
def test_a_port_is_a_number(number: int) -> None:
    assert port_of(str(number)) == port_or_free(str(number)) == number


def test_nought_is_one_where_it_takes_a_free_one() -> None:
    assert port_or_free("0") == 0
    with pytest.raises(ArgumentTypeError, match=r"^a port is a number from 1 to 65535$"):
        port_of("0")


@pytest.mark.parametrize("text", ["65536", "99999", "-1", "", "http", "4200.5", "9" * 5_000])
def test_anything_else_is_told_in_one_sentence(text: str) -> None:
    with pytest.raises(ArgumentTypeError, match=r"^a port is a number from 0 to 65535$"):
        port_or_free(text)


def test_one_that_is_bound_is_nobody_elses_and_refuses_calls_until_it_listens() -> None:
    with bind(0) as held, socket.socket() as caller, socket.socket() as other:
        there = held.getsockname()
        with pytest.raises(OSError, match="in use"):
            other.bind(there)
        assert caller.connect_ex(there)
        held.listen()
        caller.connect(there)
        with pytest.raises(OSError, match="in use"):
            bind(there[1])
