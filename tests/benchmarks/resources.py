"""What a process and all that it started take of the machine, as the kernel counts it (Linux)."""

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

_PROCESSES: Final = Path("/proc")
_TICKS: Final = os.sysconf("SC_CLK_TCK")
_PARENT, _CPU = 1, slice(11, 15)
"""Where proc(5) has them in `stat`, counted from behind the name: user, system, and both of what
ended."""


def family(process_id: int) -> list[int]:
    """Return a process and all its descendants that live, it first."""
    parents = {each: int(fields[_PARENT]) for each, fields in _all()}
    found = [process_id]
    for one in found:
        found += [each for each, parent in parents.items() if parent == one]
    return found


def cpu_seconds(process_id: int) -> float:
    """Return the CPU time of a process, and of all its descendants, living or waited for."""
    ours = set(family(process_id))
    return sum(sum(map(int, fields[_CPU])) for each, fields in _all() if each in ours) / _TICKS


def memory_mb(process_id: int) -> float:
    """Return a process's own memory in MB, what it shares with others counted by its share."""
    with suppress(OSError):
        for line in (_PROCESSES / str(process_id) / "smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) / 1024
    return 0.0


def command_of(process_id: int) -> str:
    """Return a process's command line, empty if it has ended."""
    with suppress(OSError):
        return (_PROCESSES / str(process_id) / "cmdline").read_text().replace("\0", " ")
    return ""


def _all() -> Iterator[tuple[int, list[str]]]:
    for path in _PROCESSES.glob("[0-9]*/stat"):
        with suppress(OSError):  # ended meanwhile
            yield int(path.parts[-2]), path.read_text().rpartition(")")[2].split()
