"""What a run comes to, for other programs: one JSON document, whose fields stay stable.

`account.schema.json` beside this file describes each of them. Within a version fields are added
and never renamed, retyped or removed; readers should ignore those that they don't know.
"""

import json
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from prefect.client.schemas.objects import FlowRun

from flows.runs.sentence import fails_the_run
from tasks.rows import values_of
from thousandeyes.outcomes import MEANING, Ending
from thousandeyes.record import Record
from thousandeyes.standing import Change

FORMAT: Final = "prefect-thousandeyes/run"
VERSION: Final = 1


@dataclass(frozen=True)
class Account:
    """How a run of the command line ended, whether it finished or not.

    `status` is the word for `exit_status`. `flow_run` is None if the run did not get that far, and
    `url` if no Prefect server will be there to show it. `ended` is in UTC; `seconds` is how long it
    took, even if this machine's clock was set meanwhile.
    """

    status: str
    exit_status: int
    sentence: str
    ended: datetime
    seconds: float
    records: Sequence[Record] = ()
    fail_on: Collection[Ending | Change] = ()
    dry_run: bool = False
    flow_run: FlowRun | None = None
    url: str | None = None
    in_common: str = ""

    @property
    def began(self) -> datetime:
        """When it began, in UTC."""
        return self.ended - timedelta(seconds=self.seconds)

    def fails_for(self, record: Record) -> bool:
        """Tell whether the run fails for a test; a dry run fails for none."""
        return not self.dry_run and fails_the_run(record, self.fail_on)

    def values(self) -> dict[str, Any]:
        """Return the document as JSON values."""
        counted = Counter(record.ending for record in self.records)
        run = self.flow_run
        return {
            "format": FORMAT,
            "version": VERSION,
            "status": self.status,
            "exit_status": self.exit_status,
            "sentence": self.sentence,
            "dry_run": self.dry_run,
            "began": _text(self.began),
            "ended": _text(self.ended),
            "seconds": round(self.seconds, 3),
            "flow_run": run and {"id": str(run.id), "name": run.name, "url": self.url},
            "in_common": self.in_common or None,
            "provisional": sum(record.is_provisional for record in self.records),
            "counts": {str(ending): counted[ending] for ending in MEANING if counted[ending]},
            "tests": [self._test(record) for record in self.records],
        }

    def to_json(self) -> bytes:
        """Return the document in ASCII, which every encoding can hold, with an end of line."""
        return (json.dumps(self.values(), indent=2) + "\n").encode()

    def _test(self, record: Record) -> dict[str, Any]:
        values = values_of(record)
        for name in ("recent", "last_measured", "last_heard"):  # the next run's arithmetic
            del values[name]
        return values | {
            "ending": str(record.ending),
            "why": record.why,
            "fails_run": self.fails_for(record),
        }


def _text(moment: datetime) -> str:
    return moment.isoformat(timespec="milliseconds")
