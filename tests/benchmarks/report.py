"""What all the tables have in common."""

from collections.abc import Sequence
from statistics import median

from rich import box
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
