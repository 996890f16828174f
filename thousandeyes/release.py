"""Which release of this project is installed, for every command's `--version`."""

import argparse
from importlib.metadata import version
from typing import Final

_DISTRIBUTION: Final = "prefect-thousandeyes"


def add_version(parser: argparse.ArgumentParser) -> None:
    """Make `--version` print the installed release, such as `prefect-thousandeyes 0.1.0`."""
    release = f"{_DISTRIBUTION} {version(_DISTRIBUTION)}"
    parser.add_argument("--version", action="version", version=release)
