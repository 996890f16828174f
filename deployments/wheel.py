"""Build a wheel with all packages under one name, so that they collide with nobody's.

A checkout has `flows`, `tasks` and `deployments` at its top level, like nearly every Prefect
project. Two such projects in one environment would overwrite each other, and a caller's own `flows`
would hide this one. So in a wheel, and when `pip install` gets a Git address, the four packages are
in `prefect_thousandeyes`, and their modules import one another from it: `flows.rerun` of a checkout
is `prefect_thousandeyes.flows.rerun` there. An editable install is the checkout itself.

This module is the build backend that `pyproject.toml` names, so it imports nothing but setuptools
and the standard library. The hooks' names and parameters:
https://peps.python.org/pep-0517/#build-backend-interface
"""

import contextlib
import os
import re
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from setuptools import build_meta
from setuptools.build_meta import (
    build_editable,
    get_requires_for_build_editable,
    get_requires_for_build_sdist,
    get_requires_for_build_wheel,
    prepare_metadata_for_build_editable,
)

__all__ = [
    "build_editable",
    "build_sdist",
    "build_wheel",
    "get_requires_for_build_editable",
    "get_requires_for_build_sdist",
    "get_requires_for_build_wheel",
    "prepare_metadata_for_build_editable",
]

NAME: Final = "prefect_thousandeyes"
PACKAGES: Final = ("deployments", "flows", "tasks", "thousandeyes")

_ROOT: Final = Path(__file__).parents[1]
_BESIDE: Final = ("LICENSE", "README.md", "pyproject.toml")
_SETTINGS: Final = "prefect.yaml"
_REWRITTEN: Final = frozenset({".py", ".yaml", ".toml", ".json"})
_LEFT_OUT: Final = shutil.ignore_patterns("__pycache__", "pictures")

_Options = Mapping[str, object] | None


def build_wheel(
    wheel_directory: str, config_settings: _Options = None, metadata_directory: str | None = None
) -> str:
    """Build the wheel with all packages under one name; return the name of its file."""
    there = Path(wheel_directory).absolute()
    with _copy() as tree:
        inside = tree / NAME
        inside.mkdir()
        (inside / "__init__.py").write_text('"""ThousandEyes endpoint tests rerun."""\n')
        (inside / "py.typed").touch()  # type checkers look only here, at the top
        for name in (*PACKAGES, _SETTINGS):
            (tree / name).rename(inside / name)
        names = modules(inside)
        for file in [*inside.rglob("*"), tree / "pyproject.toml"]:
            if file.suffix in _REWRITTEN:
                text = file.read_text(encoding="utf-8")
                file.write_text(under_one_name(text, names), encoding="utf-8")
        wheel: str = build_meta.build_wheel(str(there), config_settings, metadata_directory)
        return wheel


def build_sdist(sdist_directory: str, config_settings: _Options = None) -> str:
    """Build the source distribution, which is like the checkout; return the name of its file."""
    there = Path(sdist_directory).absolute()
    with _copy() as tree:
        (tree / "MANIFEST.in").write_text(f"include {_SETTINGS}\n")
        sdist: str = build_meta.build_sdist(str(there), config_settings)
        return sdist


def modules(folder: Path) -> frozenset[str]:
    """Return the dotted names of all modules in the packages, such as `flows.rerun`."""
    return frozenset(
        f"{package}.{path.stem}"
        for package in PACKAGES
        for path in (folder / package).iterdir()
        if path.is_dir() or path.suffix == ".py"
    )


def under_one_name(text: str, names: frozenset[str]) -> str:
    """Return the text of a file, with modules renamed as they are in a wheel.

    Args:
        text: Code, YAML or TOML. Dotted names in prose and in strings are renamed too: entrypoints,
            and the commands in messages.
        names: The modules, from `modules`. `api.thousandeyes.com` is not one of them.
    """
    dotted = "|".join(re.escape(name) for name in sorted(names))
    packages = "|".join(PACKAGES)
    patterns = (
        rf"(?<![\w./-])(?=(?:{dotted})\b)",
        rf"(?<=from )(?=(?:{packages}) import\b)",
        rf"(?<=-m )(?=(?:{packages})(?![\w.]))",
    )
    return re.sub("|".join(patterns), f"{NAME}.", text)


@contextlib.contextmanager
def _copy() -> Iterator[Path]:
    """Copy what is built to a temporary folder, and work there until it is built."""
    with tempfile.TemporaryDirectory() as folder:
        tree = Path(folder)
        for name in PACKAGES:
            shutil.copytree(_ROOT / name, tree / name, ignore=_LEFT_OUT)
        for name in (*_BESIDE, _SETTINGS):
            shutil.copy(_ROOT / name, tree / name)
        before = Path.cwd()
        os.chdir(tree)
        try:
            yield tree
        finally:
            os.chdir(before)
