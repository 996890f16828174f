"""What the process that called the flow can see of its run: the command line watches it."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

from prefect.client.schemas.objects import FlowRun

from flows.rerun.parameters import Parameters
from tasks.report import RunReport
from thousandeyes.record import Record


@dataclass
class Watched:
    """A run as it stands; the flow keeps it up to date, and its caller reads it.

    `flow_run` is Prefect's own, once it has begun; `on_begin` is called then. `records` are its
    tests, in the order asked for, each brought up to date in place. `asked` holds the parameters
    for which another run sent them, if one did. `standing` says in a line for people where the run
    stands. `report` is how it ended; None if this process saw no end, or the run was another
    process's by then.
    """

    flow_run: FlowRun | None = None
    asked: Parameters | None = None
    records: Sequence[Record] = ()
    standing: Callable[[], str] = lambda: ""
    unrecorded: Callable[[], Sequence[Record]] = lambda: ()
    report: RunReport | None = None
    on_begin: Callable[[], object] = lambda: None

    def begin(self, flow_run: FlowRun) -> None:
        """Take note that Prefect has begun the run."""
        self.flow_run = flow_run
        self.on_begin()


_watched: ContextVar[Watched | None] = ContextVar("watched", default=None)


@contextmanager
def watching() -> Iterator[Watched]:
    """Watch the run that is made in the block."""
    seen = Watched()
    token = _watched.set(seen)
    try:
        yield seen
    finally:
        _watched.reset(token)


def watched() -> Watched:
    """Return what the flow keeps up to date, whether or not anybody is watching."""
    return _watched.get() or Watched()
