"""How long a run will take, logged as soon as the limit is known."""

import math
from collections.abc import Sequence

from prefect import get_run_logger

from flows.rerun.options import RerunOptions
from thousandeyes.families import WINDOW, Family, FamilyQuota, Told
from thousandeyes.gate import QuotaGate
from thousandeyes.quota import DOCUMENTED_INSTANT
from thousandeyes.record import Record
from thousandeyes.text import counted, duration


async def tell_plan(gate: QuotaGate, records: Sequence[Record], options: RerunOptions) -> None:
    """Log the plan line as soon as the first reply has given the limit.

    Log it again, for what is left, if Resets show that a window is not a minute.

    Args:
        gate: The run's gate.
        records: The tests to send, which change as they are.
        options: Whether results are waited for.
    """
    logger, quota = get_run_logger(), gate.quota.families[Family.INSTANT]
    await gate.first_reply.wait()
    text = plan(len(records), quota, options.max_in_flight, sent=1)
    if options.wait_for_results:
        longest = counted(options.results_deadline_minutes, "minute")
        text += f"; then up to {longest} for results"
    logger.info(text)
    if quota.window != WINDOW:
        return  # the first reply has shown it
    await gate.other_window.wait()
    left = sum(not record.begun for record in records)
    logger.info("The quota's window is not a minute. %s", plan(left, quota, options.max_in_flight))


def plan(tests: int, quota: FamilyQuota, max_in_flight: int, *, sent: int = 0) -> str:
    """Return the plan line, such as `87 tests, 24 a minute: about 4 minutes`.

    A window is a minute of the clock, so that the first has less than a minute left.

    Args:
        tests: How many are to be sent.
        quota: What is known of the instant tests' quota.
        max_in_flight: How many are under way at a time.
        sent: How many of them the quota counts already.
    """
    told = quota.told
    if told is None or told.limit < 1:
        return f"{counted(tests, 'test')}, limit unknown: up to {max_in_flight} at a time"
    # A Date is cut to its second: if it leaves one second, there may be none.
    room = max(0, quota.free) if told.seconds_left > 1 else 0
    left = tests - sent - room
    windows = math.ceil(max(0, left) / max(1, told.limit - quota.kept_back))
    seconds = told.seconds_left + (windows - 1) * quota.window if windows else 0.0
    rate = "a minute" if quota.window == WINDOW else f"every {quota.window:.0f} s"
    return f"{counted(tests, 'test')}, {told.limit} {rate}: about {duration(seconds)}"


def documented_plan(tests: int, quota_reserve: float) -> str:
    """Return the plan line before any reply has given the limit: by the vendor's documents.

    It counts whole minutes, although the one in which the run begins is partly over.

    Args:
        tests: How many would be sent.
        quota_reserve: The fraction of the quota that is left to other users.
    """
    quota = FamilyQuota(quota_reserve)
    quota.told = Told(DOCUMENTED_INSTANT, DOCUMENTED_INSTANT, WINDOW, WINDOW)
    return f"{plan(tests, quota, 1)}, at the API's documented limit"
