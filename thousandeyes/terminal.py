"""The way out of every command: whatever becomes of its output, its exit status is its own."""

import io
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final, TextIO

_STDERR: Final = 2


class _Outlet:
    """A standard stream that writes what it can, and never fails.

    A character that it can't write is a `?`. From the moment that it can write nothing (the reader
    has gone, the disk is full) it writes to nowhere; `lost` is the error then.

    The stream is changed in place, since what was imported before holds on to it: at a broken pipe
    Prefect's log handler would end the process, in the middle of a run.
    """

    def __init__(self, stream: io.TextIOWrapper) -> None:
        self.lost: OSError | None = None
        self._descriptor, self._write, self._flush = stream.fileno(), stream.write, stream.flush
        stream.reconfigure(errors="replace")
        stream.write = self.write  # type: ignore[method-assign]
        stream.flush = self.flush  # type: ignore[method-assign]

    def write(self, text: str) -> int:
        try:
            self._write(text)
        except OSError as error:
            self._give_up(error)
        return len(text)

    def flush(self) -> None:
        try:
            self._flush()
        except OSError as error:
            self._give_up(error)

    def _give_up(self, error: OSError) -> None:
        self.lost = self.lost or error
        # The descriptor itself: Python ends with status 120 if it can't write what is left.
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, self._descriptor)
        os.close(nowhere)


def status_of(main: Callable[[], int], *, unwritten: int | None = None) -> int:
    """Run a command whose output may meet anything, and return its exit status.

    What its caller has closed of the three standard streams is opened, to and from nowhere.

    Args:
        main: The command.
        unwritten: The status instead of 0 when standard output could not take all of it, for a
            command that does nothing but print. A reader that has read enough, as `head` does, is
            no such case.
    """
    sys.stdin, sys.stdout, sys.stderr = _open(sys.stdin), _open(sys.stdout), _open(sys.stderr)
    output, errors = _Outlet(sys.stdout), _Outlet(sys.stderr)
    try:
        status = main()
    finally:
        output.flush()
        errors.flush()
    if status or unwritten is None or isinstance(output.lost, BrokenPipeError | None):
        return status
    errors.write(f"error: standard output took only a part: {output.lost.strerror}\n")
    return unwritten


def _open(stream: TextIO | None) -> io.TextIOWrapper:
    if isinstance(stream, io.TextIOWrapper):
        return stream
    # The free descriptors too: what the command starts inherits them.
    while (lowest := os.open(os.devnull, os.O_RDWR)) <= _STDERR:
        os.set_inheritable(lowest, True)  # noqa: FBT003 - it takes no keyword
    os.close(lowest)
    return Path(os.devnull).open("r+")
