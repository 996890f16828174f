"""How long a run will take, told as soon as the limit is known."""

import math
from typing import Final

from prefect import get_run_logger

from flows.rerun.options import RerunOptions
from thousandeyes.families import WINDOW, Family, FamilyQuota, Told
from thousandeyes.gate import QuotaGate
from thousandeyes.text import duration

DOCUMENTED_LIMIT: Final = 24
"""Reruns and creations a minute, for an organization. Replies tell the real one."""


async def tell_plan(gate: QuotaGate, tests: int, options: RerunOptions) -> None:
    """Log the plan line as soon as the first reply has told the limit."""
    await gate.first_reply.wait()
    text = plan(tests, gate.quota.families[Family.INSTANT], options.max_in_flight)
    if options.wait_for_results:
        text += f"; then up to {options.results_deadline_minutes:g} minutes for results"
    get_run_logger().info(text)


def plan(tests: int, quota: FamilyQuota, max_in_flight: int) -> str:
    """Return the plan line, such as `87 tests, 24 a minute: about 4 minutes`.

    Args:
        tests: How many are still to be sent, the first included.
        quota: What the first reply told of the instant tests' quota.
        max_in_flight: How many are under way at a time.
    """
    told = quota.told
    if told is None or told.limit < 1:
        return f"{tests} tests, no limit told: up to {max_in_flight} at a time"
    window = window_seconds(told)
    windows = math.ceil(tests / max(1, told.limit - quota.kept_back)) - 1
    rate = "a minute" if window == WINDOW else f"every {window:.0f} s"
    return f"{tests} tests, {told.limit} {rate}: about {duration(windows * window)}"


def documented_plan(tests: int, quota_reserve: float) -> str:
    """Return the plan line before any reply has told the limit: by the vendor's documents.

    Args:
        tests: How many would be sent.
        quota_reserve: The fraction of the quota that is left to other users.
    """
    quota = FamilyQuota(quota_reserve)
    quota.told = Told(DOCUMENTED_LIMIT, DOCUMENTED_LIMIT, WINDOW, WINDOW)
    return f"{plan(tests, quota, 1)}, by the limit that the API documents"


def window_seconds(told: Told) -> float:
    """Return how long a window is: only the reply that opened one shows it."""
    opened_it = told.remaining == told.limit - 1
    rounding = 2  # Date and Reset are whole seconds
    if opened_it and told.seconds_left < WINDOW - rounding:
        return told.seconds_left
    return WINDOW
