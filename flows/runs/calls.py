"""Which subflow runs are the same call of a parent, in other attempts of the parent."""

from bisect import bisect
from collections.abc import Mapping, Sequence
from datetime import datetime
from operator import itemgetter
from typing import Any, NamedTuple
from uuid import UUID


class Call(NamedTuple):
    """A subflow run.

    `name` is that of its task run in the parent. Prefect numbers the calls of a function in it, in
    the order in which an attempt makes them; in a task a UUID takes the number's place. `times` are
    when the run was made and when it began: if a parent died, Prefect executes the same run again
    in the parent's next attempt, and it is a call of both.
    """

    run_id: UUID
    name: str
    parameters: Mapping[str, Any]
    times: Sequence[datetime]


def same_call(own: UUID, calls: Sequence[Call], starts: Sequence[datetime]) -> set[UUID]:
    """Return the runs that are the same call as a run, in any attempt of the parent.

    Of the calls of an attempt that were given the same as this one, it is the first, second or
    later; so it is in each other attempt. In an attempt without such a call, the one of its name
    counts, since what it was given may have changed; unless this attempt has another call that was
    given the same as that one.

    Args:
        own: The run.
        calls: All calls of its function in all attempts of the parent.
        starts: When the parent's attempts began, the oldest first.
    """
    this = next(call for call in calls if call.run_id == own)
    attempts: dict[int, dict[str, list[Call]]] = {}
    seen = [(time, call) for call in calls for time in call.times]
    for time, one in sorted(seen, key=itemgetter(0)):
        attempts.setdefault(bisect(starts, time), {}).setdefault(one.name, []).append(one)
    latest = attempts[max(bisect(starts, time) for time in this.times)]
    position = _given(this.parameters, latest).index(this.name)
    others = [one.parameters for name in latest if name != this.name for one in latest[name]]
    same = {own}
    for attempt in attempts.values():
        if names := _given(this.parameters, attempt):
            runs = [one for name in names[position : position + 1] for one in attempt[name]]
        else:
            runs = [one for one in attempt.get(this.name, ()) if one.parameters not in others]
        same.update(one.run_id for one in runs)
    return same


def _given(parameters: Mapping[str, Any], attempt: Mapping[str, Sequence[Call]]) -> list[str]:
    """Return the names of an attempt's calls with these parameters, in the order of the calls."""
    return [
        name
        for name, runs in attempt.items()
        if any(call.parameters == parameters for call in runs)
    ]
