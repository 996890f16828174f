"""The output of every command: whatever becomes of it, the command's exit status stays its own.

And whatever the output contains, only we control the terminal: names and errors come from outside,
and a terminal obeys what it reads.
"""

import io
import os
import re
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final, TextIO

from rich.console import Console
from rich.text import Text

from thousandeyes.text import cut

LONGEST_CELL: Final = 60
LONGEST_SENTENCE: Final = 2_000
LONGEST_LINE: Final = 10_000
"""Characters; no output of this project comes close."""

_STDERR: Final = 2
# Each parameter can match in one way only, so that no text takes long.
_PARAMETER: Final = r"(?:[0-4]|2[2-4]|[39][0-7]|39|38;5;\d{1,3}|38;2(?:;\d{1,3}){3})?"
_COLOUR: Final = rf"\x1b\[{_PARAMETER}(?:;{_PARAMETER})*m"
_UNFIT: Final = re.compile(
    rf"""
      ({_COLOUR})                               # which rich writes, and Prefect's log
    | \x1b (?: \[ [0-?]* [ -/]* [@-~]           # any other sequence, whole if it is complete
            | [\]PX^_] [^\x07\x1b\n]* (?: \x07 | \x1b\\ ) )?
    | [\0-\x08\x0b-\x1f\x7f-\x9f]              # control characters but for tab and end of line
    | [\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]  # direction marks: they reorder text
    """,
    re.VERBOSE,
)


def verbatim_console(*, stderr: bool = False, soft_wrap: bool = False) -> Console:
    """Return a console that shows texts verbatim: to rich, `:ab:` is an emoji and `[b]` a style.

    Args:
        stderr: Whether it writes to standard error.
        soft_wrap: Whether to let the terminal wrap long lines instead of the console.
    """
    return Console(stderr=stderr, soft_wrap=soft_wrap, markup=False, emoji=False, highlight=False)


def words(text: str, longest: int = LONGEST_SENTENCE) -> Text:
    """Return a text from anywhere, fit for any console: one line, cut, and shown verbatim."""
    return Text(cut(text, longest))


def clean(text: str) -> str:
    """Return output without anything that moves the cursor or sets a title, and with lines cut."""
    fit = _UNFIT.sub(lambda found: found[1] or "", text)
    if len(fit) <= LONGEST_LINE:
        return fit
    lines = fit.splitlines(keepends=True)
    return "".join(
        line if len(line) <= LONGEST_LINE else f"{line[: LONGEST_LINE - 2]}…\n" for line in lines
    )


def hangup() -> signal.Signals | None:
    """Return the signal for a closed terminal; None if it is ignored, as under nohup."""
    number = getattr(signal, "SIGHUP", None)  # Windows has none
    return number if number and signal.getsignal(number) is signal.SIG_DFL else None


class _Outlet:
    """A standard stream that writes what it can, and never fails.

    It writes `clean` output, with a `?` for a character that it can't encode. Once it can't write
    any more (no reader, disk full), it discards the output, and `lost` is the error.

    The stream is changed in place, because modules imported earlier hold references to it: at a
    broken pipe, Prefect's log handler would end the process in the middle of a run.
    """

    def __init__(self, stream: io.TextIOWrapper) -> None:
        self.lost: OSError | None = None
        self._descriptor, self._write, self._flush = stream.fileno(), stream.write, stream.flush
        stream.reconfigure(errors="replace")
        stream.write = self.write  # type: ignore[method-assign]
        stream.flush = self.flush  # type: ignore[method-assign]

    def write(self, text: str) -> int:
        try:
            self._write(clean(text))
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
        # The descriptor itself: Python exits with status 120 if it can't flush the rest.
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, self._descriptor)
        os.close(nowhere)


def status_of(main: Callable[[], int], *, unwritten: int | None = None) -> int:
    """Run a command, and return its exit status whatever happens to its output; 130 after Ctrl-C.

    If the caller has closed any of the three standard streams, it is opened on the null device.

    Args:
        main: The command.
        unwritten: For a command that only prints, the status instead of 0 if its output could not
            be written in full. A reader that has read enough, such as `head`, doesn't count.
    """
    sys.stdin, sys.stdout, sys.stderr = _open(sys.stdin), _open(sys.stdout), _open(sys.stderr)
    output, errors = _Outlet(sys.stdout), _Outlet(sys.stderr)
    try:
        status = main()
    except KeyboardInterrupt:
        status = 128 + signal.SIGINT
    finally:
        output.flush()
        errors.flush()
    if status or unwritten is None or isinstance(output.lost, BrokenPipeError | None):
        return status
    errors.write(f"error: the output could not be written in full: {output.lost.strerror}\n")
    return unwritten


def _open(stream: TextIO | None) -> io.TextIOWrapper:
    if isinstance(stream, io.TextIOWrapper):
        return stream
    # All free standard descriptors, because child processes inherit them.
    while (lowest := os.open(os.devnull, os.O_RDWR)) <= _STDERR:
        os.set_inheritable(lowest, True)  # noqa: FBT003 - it takes no keyword
    os.close(lowest)
    return Path(os.devnull).open("r+")
