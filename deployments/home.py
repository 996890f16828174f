"""The home of the servers that this project starts on one machine."""

from pathlib import Path
from typing import Final

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
