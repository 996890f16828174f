"""How property tests run here: the same examples each time, and no clock that a busy machine trips.

`EXAMPLES=20 pytest tests/thousandeyes` tries twenty times as many, and new ones each time.
"""

import os

from hypothesis import settings

_MORE = int(os.environ.get("EXAMPLES", "1"))


def steady(examples: int, steps: int = 50) -> settings:
    return settings(
        max_examples=examples * _MORE,
        stateful_step_count=steps,
        derandomize=_MORE == 1,
        deadline=None,
        database=None,
    )
