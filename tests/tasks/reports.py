"""What the tests of a run's report are told of: records of all kinds, and the report of a run."""

from typing import Any

from tasks.report import RunReport
from thousandeyes.judging import judge
from thousandeyes.outcomes import Outcome
from thousandeyes.record import Record
from thousandeyes.rounds import NetworkRound
from thousandeyes.thresholds import Thresholds

UI = "http://prefect/"
TEST = f"{UI}artifacts/key/endpoint-test-"
HOSTILE = (
    "|](http://evil) [x](y)<script>\n\n# now\r\n`code` **bold** _it_ ~~no~~ ![i](j) &lt; \\| \\"
)


def report(*records: Record, sentence: str = "Why.", passed: bool = False) -> RunReport:
    return RunReport(records, passed, sentence, "4 minutes")


def record(test_id: str, outcome: Outcome, **values: Any) -> Record:
    return Record(test_id, outcome=outcome, **{"attempts": 1} | values)


def judged(test_id: str, *rows: NetworkRound, **values: Any) -> Record:
    verdict = judge(rows, Thresholds(), expected=25, complete=True)
    return record(test_id, Outcome.ACCEPTED, verdict=verdict, **values)


def network(agent: str, loss: float) -> NetworkRound:
    return NetworkRound(test_id="1", agent_id=agent, round_id=60, loss=loss)
