"""The table of a round of faults."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from tests.chaos.judge import Judgement


@dataclass
class Line:
    """A fault, and what came of it in all its trials; `stuck` tells what did not come to an end."""

    fault: str
    judged: list[Judgement] = field(default_factory=list)
    stuck: list[str] = field(default_factory=list)

    def add(self, judgement: Judgement) -> None:
        """Add a trial."""
        self.judged.append(judgement)

    @property
    def holds(self) -> bool:
        """Tell whether every promise held in every trial."""
        return not self.stuck and all(judgement.holds for judgement in self.judged)

    @property
    def cells(self) -> tuple[str, ...]:
        """What the table shows; of the seconds to recover the longest."""
        seconds = [one.seconds for one in self.judged if one.seconds is not None]
        return (
            self.fault,
            str(len(self.judged) + len(self.stuck)),
            str(sum(one.lost for one in self.judged)),
            str(sum(one.twice for one in self.judged)),
            str(sum(one.wrong for one in self.judged)),
            str(sum(one.not_run for one in self.judged)),
            f"{max(seconds):.1f}" if seconds else "",
            "; ".join(dict.fromkeys(self._words())),
        )

    def _words(self) -> Iterator[str]:
        yield from self.stuck
        for one in self.judged:
            if not one.holds:
                yield f"broken: {one.broken}" if one.broken else "broken"
            if one.note:
                yield one.note


def show(lines: Sequence[Line], console: Console) -> None:
    """Print the table."""
    table = Table(box=SIMPLE_HEAD)
    table.add_column("fault")
    for heading in ("times", "lost", "sent twice", "wrong", "not sent", "recovers s"):
        table.add_column(heading, justify="right")
    table.add_column("")
    for line in lines:
        table.add_row(*line.cells, style=None if line.holds else "bold red")
    console.print(table)
