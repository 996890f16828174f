"""`python -m tests.benchmarks.contestants NAME JOB RESULT`: run one contestant and measure it."""

import importlib
import json
import resource
import sys
import time
from pathlib import Path


def main(name: str, job_file: str, result_file: str) -> None:
    """Import the contestant, then start the clocks, call it, and write down what they show."""
    job = json.loads(Path(job_file).read_text())
    contestant = importlib.import_module(f"tests.benchmarks.contestants.{name}")
    if job["phase"]:
        _wait_for(*job["phase"])
    before, cpu, began = _peak_mb(), time.process_time(), time.perf_counter()
    accepted = contestant.run(job["test_ids"], **job["options"])
    took = {
        "wall_seconds": time.perf_counter() - began,
        "cpu_seconds": time.process_time() - cpu,
        "peak_mb": _peak_mb(),
        "before_mb": before,
        "before_cpu_seconds": cpu,
        "accepted": accepted,
        "notes": getattr(contestant, "NOTES", {}),
    }
    Path(result_file).write_text(json.dumps(took))


def _wait_for(window_seconds: float, fraction: float) -> None:
    """Return when that fraction of a window of the clock has passed."""
    time.sleep((fraction * window_seconds - time.time()) % window_seconds)


def _peak_mb() -> float:
    if sys.platform == "linux":
        # Not by getrusage: there the peak of the process that started this one counts, too.
        status = Path("/proc/self/status").read_text()
        return int(status.partition("VmHWM:")[2].split()[0]) / 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (1024 * 1024 if sys.platform == "darwin" else 1024)


if __name__ == "__main__":
    main(*sys.argv[1:])
