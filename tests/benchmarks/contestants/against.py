"""Against: ours, against an API that means harm; however its run ends is well."""

from typing import Any

from flows.runs.ending import RunFailed
from tests.benchmarks.contestants import ours


def run(test_ids: list[str], **options: Any) -> int:
    """Run the flow; return how many tests were accepted, none of a run that failed."""
    try:
        return ours.run(test_ids, **options)
    except RunFailed:
        return 0
