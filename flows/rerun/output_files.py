"""The files that a run leaves for other programs: opened before it begins, written when it ends."""

import os
import sys
from collections.abc import Callable, Iterable, Iterator
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
    """The files of one run. Once opened, they hold nothing of an earlier run."""

    def __init__(self, files: list[_File]) -> None:
        self._files = files

    @classmethod
    @contextmanager
    def opened(
        cls, json_file: str | None, junit_file: str | None, inputs: Iterable[str | int] = ()
    ) -> Iterator[Self]:
        """Open the files asked for, emptied; in the block, nothing else is on standard output.

        Args:
            json_file: Where the JSON document goes; `-` is standard output.
            junit_file: Where the JUnit document goes.
            inputs: Files that the tests are read from, by name or by descriptor.

        Raises:
            OutputError: One of them can't be written, or is an input, or both are the same.
        """
        for name in (json_file, junit_file):
            _spare(name, inputs)
        with ExitStack() as stack:
            files = []
            if json_file == STANDARD_OUTPUT:
                # Past the text stream, which shortens endless lines for people.
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
        """Write each; if one can't be written, the others still are.

        Raises:
            OutputError: Some could not be written; names them.
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
    with suppress(OSError):  # reported when it was written
        stream.close()


def _spare(name: str | None, inputs: Iterable[str | int]) -> None:
    """Make sure that a list which still has to be read is not emptied."""
    if name is None:
        return
    for one in inputs:
        with suppress(OSError, ValueError):  # one of them is not there
            same = os.path.samefile(name, one)  # noqa: PTH121 - takes descriptors too
            if same and Path(name).is_file():
                raise OutputError(
                    f"{name} is the file that the test IDs are read from: write the outcomes to "
                    "another one. Nothing was sent."
                )


def _differ(one: str, other: str) -> None:
    if Path(one).samefile(other) and Path(one).is_file():
        raise OutputError(f"--json and --junit both name {one}. Nothing was sent.")
