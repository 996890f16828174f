"""Reads files that somebody names: only regular ones, up to a size, and inside a folder if asked.

Whoever may start runs can name files of the worker's machine, without being the worker's owner. So
an endless device, a pipe that nobody writes to and a link that leads elsewhere are refused.
"""

import os
import stat
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Final

LARGEST: Final = 5_000_000
"""Bytes: some 500,000 test IDs."""
LARGEST_YAML: Final = 1_000_000
"""Bytes. YAML is read at some 100,000 bytes a second, and nothing else runs meanwhile."""

_FLAGS: Final = os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
_FOLDER: Final = (
    # With O_PATH, where it exists, a folder that can't be listed can be passed through.
    getattr(os, "O_PATH", os.O_RDONLY) | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
)


class NotRead(ValueError):
    """A file was not read; the message says why, and nothing about the content."""


def read_own(path: Path, largest: int = LARGEST) -> bytes:
    """Return the content of a file that the owner of this process named.

    Args:
        path: The file; a relative path is relative to the working directory.
        largest: The most bytes that it may hold.

    Raises:
        NotRead: The file can't be opened, is not a regular file, or is larger.
    """
    try:
        return _read(path, lambda name, _: os.open(name, _FLAGS), largest)
    except OSError as error:
        raise NotRead(error.strerror or "no file has such a name") from None
    except NotRead:
        raise
    except ValueError:  # a NUL in its name, or half a surrogate pair
        raise NotRead("no file has such a name") from None


def read_inside(folder: Path | None, path: Path, largest: int = LARGEST) -> bytes:
    """Return the content of a file that somebody else named, for example in a form.

    A path outside the folder gets the same refusal whether the file exists or not.

    Args:
        folder: The folder that TE_FILES_DIR names; None if it is not set, so that no file is read.
        path: The file; a relative path is relative to the folder.
        largest: The most bytes that it may hold.

    Raises:
        NotRead: With links followed, the file is not inside the folder; or it is a hard link, which
            may also have a name outside; or `read_own` would not read it.
    """
    if folder is None:
        raise NotRead("TE_FILES_DIR is not set")
    try:
        root = Path(os.path.realpath(folder))
        real = Path(os.path.realpath(root / path))
    except (OSError, ValueError):
        raise NotRead("no file has such a name") from None
    if not real.is_relative_to(root):
        raise NotRead("it is not inside the folder that TE_FILES_DIR names")
    try:
        parts = real.relative_to(root).parts
        return _read(real, lambda *_: _open_below(root, parts), largest, one_name=True)
    except OSError as error:
        raise NotRead(error.strerror or "it can't be opened") from None


def _open_below(root: Path, parts: Sequence[str]) -> int:
    """Open a file by a path without links: whatever has become a link meanwhile is not followed."""
    *folders, name = parts or (".",)
    with ExitStack() as opened:
        folder = os.open(root, _FOLDER)
        opened.callback(os.close, folder)
        for part in folders:
            folder = os.open(part, _FOLDER, dir_fd=folder)
            opened.callback(os.close, folder)
        return os.open(name, _FLAGS | os.O_NOFOLLOW, dir_fd=folder)


def _read(
    path: Path, opener: Callable[[str, int], int], largest: int, *, one_name: bool = False
) -> bytes:
    with open(path, "rb", opener=opener) as file:  # a folder is refused here, and closed
        told = os.fstat(file.fileno())
        if not stat.S_ISREG(told.st_mode):
            raise NotRead("it is not a regular file")
        if one_name and told.st_nlink > 1:
            raise NotRead("it is a hard link: the same file may lie outside the folder")
        # `st_size` is no guide: it is 0 for files of /proc, and changes while a file grows.
        content = file.read(largest + 1)
    if len(content) > largest:
        raise NotRead(f"it holds more than {largest:,} bytes")
    return content
