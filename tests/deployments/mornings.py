"""Many mornings of one office's tests, compared and recorded as runs do: what a report may show."""

from datetime import UTC, datetime, timedelta
from typing import Final
from uuid import uuid4

from prefect.client.schemas.objects import FlowRun

from flows.rerun.comparison import Comparison
from flows.rerun.options import RerunOptions
from flows.runs.sentence import passed_and_why
from tasks.report import RunReport
from tests.thousandeyes.test_changes import night_after_night
from thousandeyes.app_links import app_link
from thousandeyes.judging import judge
from thousandeyes.outcomes import Outcome
from thousandeyes.record import Record
from thousandeyes.rounds import NetworkRound
from thousandeyes.simulator import create_app
from thousandeyes.thresholds import Thresholds

MORNINGS: Final = 24
_LAPTOPS: Final = [
    f"{('ada', 'cem', 'ines', 'nora', 'omar')[number % 5]}-win-{number:03}" for number in range(25)
]
_FIRST: Final = datetime(2026, 11, 2, 7, 30, tzinfo=UTC)
_STOPPED: Final = 9
"""The morning on which the run was stopped early."""


def report(tests: int = 41) -> RunReport:
    """Return the report of the last of many mornings."""
    simulator = create_app(tests=tests).state.simulator
    named = {test_id: test.name for test_id, test in simulator.tests.items()}
    mornings = night_after_night(
        [
            [_record(place, *one, morning) for place, one in enumerate(named.items())]
            for morning in range(MORNINGS)
        ]
    )
    records = mornings[-1]
    passed, sentence = passed_and_why(records, RerunOptions().fail_on)
    before = FlowRun(
        flow_id=uuid4(), name="morning-checks", start_time=_FIRST + timedelta(days=MORNINGS - 2)
    )
    comparison = Comparison(before, {record.test_id: record for record in mornings[-2]})
    return RunReport(
        records, passed, sentence, "4 minutes", what_changed=comparison.markdown(records)
    )


def _record(place: int, test_id: str, name: str, morning: int) -> Record:
    """Return how a test ended on a morning; each one in 41 behaves alike."""
    place, at = place % 41, _FIRST + timedelta(days=morning)
    if morning == _STOPPED and place > 28:
        return Record(test_id, name)
    if place == 19 and morning > 15:
        gone = "404: Not Found: The path or the ID is not known in this account group"
        return Record(test_id, name, Outcome.NOT_FOUND, gone, 404, attempts=1, started_at=at)
    record = Record(test_id, name, Outcome.ACCEPTED, "accepted", 202, attempts=1, started_at=at)
    record.linked(app_link(test_id, aid="12345", round_id=int(at.timestamp())))
    lost = _laptops_without_an_answer(place, morning)
    answering = [] if place == 33 and morning % 7 == 4 else _LAPTOPS
    rows = [
        NetworkRound(test_id=test_id, agent_id=one, round_id=60, loss=100 if one in lost else 0)
        for one in answering
    ]
    record.judged(judge(rows, Thresholds(), expected=len(_LAPTOPS), complete=True))
    return record


def _laptops_without_an_answer(place: int, morning: int) -> list[str]:
    if place == 4:  # broke today, for many
        return _LAPTOPS[3:14] if morning == MORNINGS - 1 else []
    if place == 11:  # broke some mornings ago
        return _LAPTOPS[:3] if morning >= MORNINGS - 6 else []
    if place == 22:  # broke once, and recovered
        return _LAPTOPS[:2] if 4 <= morning < 8 else []
    if place == 27:  # flaps
        return _LAPTOPS[5:6] if morning % 3 == 1 else []
    return []
