"""The home of the servers that this project starts on one machine."""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Final

from thousandeyes.errors import SettingsError

_CHECKOUT: Final = Path(__file__).parents[1]
ROOT: Final = _CHECKOUT if (_CHECKOUT / "pyproject.toml").is_file() else Path.cwd()
"""The folder with `.env`: that of the project, or where it is installed from a wheel, the one in
which the command was started."""
HOME: Final = ROOT / ".prefect"


def make_private(home: Path) -> None:
    """Make the home if there is none, and let nobody but its user in: it holds key and database.

    Raises:
        SettingsError: It can't be made, or is another user's.
    """
    try:
        home.mkdir(mode=0o700, parents=True, exist_ok=True)
        home.chmod(0o700)
    except OSError as error:
        raise SettingsError(f"{home} can't be used: {error.strerror}") from None


@contextmanager
def reserved(home: Path) -> Iterator[IO[str]]:
    """Reserve the home for one server until the block ends, and its processes with it.

    Args:
        home: A home that is there.

    Yields:
        The file that holds the lock. A process that inherits it keeps the home reserved for as
        long as it lives, also where this one is killed; what is written there names it to others.

    Raises:
        SettingsError: A process holds it, and the message has what was written; or the home's file
            system has no locks.
    """
    with (home / "server.lock").open("a+", encoding="utf-8") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.seek(0)
            raise SettingsError(
                f"a Prefect server already uses {home}: {lock.read().strip() or 'it is starting'}. "
                "Use that one, or end it first"
            ) from None
        except OSError as error:
            raise SettingsError(f"{home} can't be locked: {error.strerror}") from None
        lock.truncate(0)
        yield lock
