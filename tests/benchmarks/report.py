"""What all the tables have in common, and where they stand against what the project aims at."""

import os
import platform
import sqlite3
from collections.abc import Sequence
from datetime import UTC, datetime
from statistics import median
from typing import Literal, NamedTuple

import prefect
from rich import box
from rich.console import Console
from rich.table import Table


def table(title: str, first: str, *columns: str) -> Table:
    """Return an empty table; all but the first column hold numbers."""
    made = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD)
    made.add_column(first, no_wrap=True)
    for column in columns:
        made.add_column(column, justify="right")
    return made


def middle(figures: Sequence[float], digits: int = 2) -> str:
    """Return the median."""
    return f"{median(figures):.{digits}f}"


def each(figures: Sequence[float], digits: int = 2) -> str:
    """Return all figures in the order in which they were taken."""
    return " ".join(f"{figure:.{digits}f}" for figure in figures)


def surroundings() -> str:
    """Return when and on what the figures are taken: date, versions, cores, and the load."""
    return (
        f"{datetime.now(UTC):%Y-%m-%d}, Prefect {prefect.__version__}, SQLite "
        f"{sqlite3.sqlite_version}, Python {platform.python_version()}, {os.cpu_count()} cores, "
        f"load {os.getloadavg()[0]:.1f}"
    )


class Aim(NamedTuple):
    """A figure, and what the project aims at."""

    what: str
    figure: float
    sense: Literal["at least", "at most"]
    bound: float

    @property
    def is_met(self) -> bool:
        """Whether the figure is as it should be."""
        if self.sense == "at least":
            return self.figure >= self.bound
        return self.figure <= self.bound


def tell(console: Console, *aims: Aim) -> None:
    """Say of each figure whether it falls short."""
    for aim in aims:
        held = "holds" if aim.is_met else "falls short"
        console.print(
            f"{held}: {aim.what}: {aim.figure:.3g}, {aim.sense} {aim.bound:g}",
            style="green" if aim.is_met else "red",
            markup=False,
            highlight=False,
        )
