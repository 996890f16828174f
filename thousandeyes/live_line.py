"""A terminal line that is overwritten again and again, and disappears before other output."""

import io
from collections.abc import Callable
from typing import Final

from rich.cells import cell_len, set_cell_size

from thousandeyes.text import shown

OVER: Final = "\r\x1b[2K"
"""Returns to the start of the line and clears it. `terminal.clean` lets nobody else do so."""


class LiveLine:
    """A line that shows the progress.

    Args:
        stream: The terminal.
        columns: Returns its present width.
    """

    def __init__(self, stream: io.TextIOWrapper, columns: Callable[[], int]) -> None:
        self._stream = stream
        self._columns = columns
        self._there = False

    def show(self, text: str) -> None:
        """Overwrite the line; what doesn't fit is cut."""
        text, room = shown(text), self._columns() - 1
        if cell_len(text) > room:
            text = f"{set_cell_size(text, max(0, room - 1)).rstrip()}…"
        self._write(OVER + text)
        self._there = True

    def clear(self) -> None:
        """Remove the line, so that something else can be written here."""
        if self._there:
            self._write(OVER)
            self._there = False

    def _write(self, text: str) -> None:
        # Bypasses the text stream, which lets no output move the cursor.
        said = text.encode(self._stream.encoding, errors="replace")
        try:
            self._stream.flush()
            self._stream.buffer.write(said)
            self._stream.buffer.flush()
        except OSError:
            pass  # the terminal is gone, and nothing depends on this line
