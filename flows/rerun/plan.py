"""How long a run will take, told as soon as the limit is known, and how far it is."""

import math
from typing import Final

from thousandeyes.quota import WINDOW, FamilyQuota
from thousandeyes.replies import Told

_MINUTE: Final = 60
DOCUMENTED_LIMIT: Final = 24
"""Reruns and creations a minute, for an organization. Replies tell the real one."""


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


def duration(seconds: float) -> str:
    """Return a duration for people: `40 s`, `4 minutes`, `2 h 5 min`."""
    if seconds < 2 * _MINUTE:
        return f"{max(1, round(seconds))} s"
    minutes = round(seconds / _MINUTE)
    if minutes < _MINUTE:
        return f"{minutes} minutes"
    return f"{minutes // _MINUTE} h {minutes % _MINUTE} min"
