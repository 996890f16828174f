"""The Prefect home of the servers that this project starts on one machine."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Final, Literal

from thousandeyes.errors import SettingsError

_CHECKOUT: Final = Path(__file__).parents[1]
ROOT: Final = _CHECKOUT if (_CHECKOUT / "pyproject.toml").is_file() else Path.cwd()
"""The folder with `.env`: the project's or, when installed from a wheel, the folder in which the
command was started."""
HOME: Final = ROOT / ".prefect"


def make_private(home: Path) -> None:
    """Make the home if it is missing, readable only by its user: it has the key and the database.

    Raises:
        SettingsError: The home can't be made, or belongs to another user.
    """
    try:
        home.mkdir(mode=0o700, parents=True, exist_ok=True)
        home.chmod(0o700)
    except OSError as error:
        raise SettingsError(f"{home} can't be used: {error.strerror}") from None


@contextmanager
def reserved(home: Path) -> Iterator[IO[bytes]]:
    """Reserve the home for one server until the block and the server's processes have ended.

    Args:
        home: An existing home.

    Yields:
        The file with the lock. A process that inherits it keeps the home reserved for as long as
        it lives, even if this one is killed. What is noted in it is shown to others.

    Raises:
        SettingsError: Another process has the lock, the message has what it wrote; or the lock
            can't be opened.
    """
    with opened(home / "server.lock", "a+b") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.seek(0)
            noted = lock.read().decode(errors="replace").strip() or "it is starting"
            raise SettingsError(
                f"a Prefect server already uses {home}: {noted}. Use that server, or stop it first"
            ) from None
        except OSError as error:
            raise SettingsError(f"{home} can't be locked: {error.strerror}") from None
        lock.truncate(0)
        yield lock


def opened(file: Path, mode: Literal["a+b", "w+b"]) -> IO[bytes]:
    """Open a file of the home.

    Raises:
        SettingsError: It can't be opened, as if it belongs to another user.
    """
    try:
        return file.open(mode)
    except OSError as error:
        raise SettingsError(f"{file} can't be used: {error.strerror}") from None


def note(lock: IO[bytes], words: str) -> None:
    """Write into the file with the lock what others are shown, if there is space for it."""
    with suppress(OSError):
        os.write(lock.fileno(), words.encode())
