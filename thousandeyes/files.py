"""Files that somebody names: regular ones alone, of a bounded size, and inside a folder if asked.

Whoever may start runs names files of the worker's machine, and is not the worker's owner: a device
that never ends, a pipe that nobody writes and a link that leads elsewhere are no files here.
"""

import os
import stat
from pathlib import Path
from typing import Final

LARGEST: Final = 5_000_000
"""Bytes: some 500,000 test IDs."""
LARGEST_YAML: Final = 1_000_000
"""Bytes. YAML is read at some 100,000 a second, while nothing else goes on."""

_FLAGS: Final = os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC


class NotRead(ValueError):
    """A file that was not read; the message says why, and nothing of what it holds."""


def read_own(path: Path, largest: int = LARGEST) -> bytes:
    """Return what a file holds that was named by the person whose process this is.

    Args:
        path: Where it is; a relative path begins in the working directory.
        largest: Bytes that it may hold.

    Raises:
        NotRead: It can't be opened, is no regular file, or holds more.
    """
    try:
        return _read(path, _FLAGS, largest)
    except OSError as error:
        raise NotRead(error.strerror or "no file has such a name") from None
    except NotRead:
        raise
    except ValueError:  # a zero in its name, or half of a letter
        raise NotRead("no file has such a name") from None


def read_inside(folder: Path | None, path: Path, largest: int = LARGEST) -> bytes:
    """Return what a file holds that was named by somebody else, such as in a form.

    Outside the folder all is refused alike, whether it is there or not.

    Args:
        folder: What TE_FILES_DIR names; None: it names nothing, and no file is read.
        path: Where it is; a relative path begins in the folder.
        largest: Bytes that it may hold.

    Raises:
        NotRead: It is not inside the folder, links followed, or may have another name outside, or
            `read_own` would not read it.
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
        # What was followed is a path without links now; one that came since is not followed.
        return _read(real, _FLAGS | os.O_NOFOLLOW, largest, one_name=True)
    except OSError as error:
        raise NotRead(error.strerror or "it can't be opened") from None


def _read(path: Path, flags: int, largest: int, *, one_name: bool = False) -> bytes:
    descriptor = os.open(path, flags)
    with open(descriptor, "rb") as file:  # noqa: PTH123 - a descriptor
        told = os.fstat(descriptor)
        if stat.S_ISDIR(told.st_mode):
            raise IsADirectoryError(None, "Is a directory")
        if not stat.S_ISREG(told.st_mode):
            raise NotRead("it is no regular file")
        if one_name and told.st_nlink > 1:
            raise NotRead("it is a hard link: the same file may lie outside the folder")
        # Not by the size that it tells: a file of /proc tells none, and one that grows another.
        content = file.read(largest + 1)
    if len(content) > largest:
        raise NotRead(f"it holds more than {largest:,} bytes")
    return content
