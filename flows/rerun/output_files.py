"""The files that a run leaves for other programs: opened before it begins, written when it ends."""

import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, redirect_stdout, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final, Self

from flows.rerun.account import Account
from flows.rerun.junit import junit

STANDARD_OUTPUT: Final = "-"

Form = Callable[[Account], bytes]


class OutputError(Exception):
    """A file can't be written; the message says which and why."""


@dataclass(frozen=True)
class _File:
    name: str
    stream: BinaryIO
    form: Form


class OutputFiles:
    """The files of one run. From the moment they are opened they hold nothing of an earlier one."""

    def __init__(self, files: list[_File]) -> None:
        self._files = files

    @classmethod
    @contextmanager
    def opened(cls, json_file: str | None, junit_file: str | None) -> Iterator[Self]:
        """Open what is asked for, each emptied; in the block, nothing else is on standard output.

        Args:
            json_file: Where the JSON document goes; `-` is standard output.
            junit_file: Where the JUnit document goes.

        Raises:
            OutputError: One of them can't be written, or both are the same.
        """
        with ExitStack() as stack:
            files = []
            if json_file == STANDARD_OUTPUT:
                # Past the text stream, which shortens endless lines for people's eyes.
                files.append(_File("standard output", sys.stdout.buffer, Account.to_json))
                stack.enter_context(redirect_stdout(sys.stderr))
            elif json_file is not None:
                files.append(_open(stack, json_file, Account.to_json))
            if junit_file is not None:
                files.append(_open(stack, junit_file, junit))
            if json_file and junit_file and json_file != STANDARD_OUTPUT:
                _differ(json_file, junit_file)
            yield cls(files)

    def write(self, account: Account) -> None:
        """Write each; one that can't be written keeps none of the others from it.

        Raises:
            OutputError: Of those that could not be written.
        """
        lost = []
        for file in self._files:
            try:
                file.stream.write(file.form(account))
                file.stream.flush()
            except OSError as error:
                lost.append(f"{file.name} could not be written: {error.strerror}")
        if lost:
            raise OutputError("; ".join(lost))


def _open(stack: ExitStack, name: str, form: Form) -> _File:
    try:
        stream = Path(name).open("wb")  # noqa: SIM115 - closed below
    except OSError as error:
        raise OutputError(f"{name} can't be written: {error.strerror}. Nothing was sent.") from None
    stack.callback(_close, stream)
    return _File(name, stream, form)


def _close(stream: BinaryIO) -> None:
    with suppress(OSError):  # told when it was written
        stream.close()


def _differ(one: str, other: str) -> None:
    if Path(one).samefile(other) and Path(one).is_file():
        raise OutputError(f"--json and --junit both name {one}. Nothing was sent.")
