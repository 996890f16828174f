"""What all commands do with their arguments: nothing may be empty, and nothing is dropped."""

import argparse
from collections.abc import Callable
from typing import Any


def one(metavar: str, what: str = "") -> dict[str, Any]:
    """Return how argparse reads an option that names one thing and may be given once.

    Args:
        metavar: What its value is called, such as `RUN`.
        what: What it names, if that differs.
    """
    return {"metavar": metavar, "type": naming(what or metavar.lower()), "action": Once}


def naming(what: str) -> Callable[[str], str]:
    """Return a function that reads a value that names something, and refuses an empty one.

    An unset variable gives an empty value, with which the command would ignore the option.
    """

    def read(text: str) -> str:
        if not text.strip():
            raise argparse.ArgumentTypeError(f"names no {what}: its value is empty")
        return text

    return read


def listing(what: str) -> Callable[[str], list[str]]:
    """Return a function that reads things separated by commas, and refuses an empty list."""
    read_one = naming(what)

    def read(text: str) -> list[str]:
        parts = [part.strip() for part in text.split(",") if part.strip()]
        return parts or [read_one("")]

    return read


class Once(argparse.Action):
    """Stores a value, and refuses a second one."""

    def __call__(
        self,
        parser: object,  # noqa: ARG002
        namespace: argparse.Namespace,
        values: object,
        option_string: object = None,  # noqa: ARG002
    ) -> None:
        """Store the value."""
        if getattr(namespace, self.dest, self.default) != self.default:
            raise argparse.ArgumentError(self, "is given twice, and takes one value")
        setattr(namespace, self.dest, values)


class Together(argparse.Action):
    """Stores pairs as a mapping, over all uses of the option; refuses a name given twice."""

    def __call__(
        self,
        parser: object,  # noqa: ARG002
        namespace: argparse.Namespace,
        values: Any,  # noqa: ANN401 - as argparse has it
        option_string: object = None,  # noqa: ARG002
    ) -> None:
        """Store the pairs of one value."""
        known = dict(getattr(namespace, self.dest, {}))
        for name, value in values:
            if name in known:
                raise argparse.ArgumentError(self, f"{name} is given twice")
            known[name] = value
        setattr(namespace, self.dest, known)


def flag(name: str) -> str:
    """Return how a command's option is written: `max_in_flight` is `--max-in-flight`."""
    return f"--{name.replace('_', '-')}"
