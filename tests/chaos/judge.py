"""What a fault did, told from what the API received, and held against what the run recorded."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Self

from thousandeyes.delivery import Delivery
from thousandeyes.outcomes import Outcome
from thousandeyes.record import Record
from thousandeyes.simulator.state import Call


@dataclass(frozen=True)
class Judgement:
    """What came of one trial.

    `lost` counts tests that did not run and of which nothing says so; `twice` those that ran more
    than once; `wrong` those whose recorded outcome is not what the API saw, a second run that
    is not marked and any second run under `at_most_once` included; `not_run` those that did not run
    and of which the run says so. `note` tells what else was counted.
    """

    lost: int = 0
    twice: int = 0
    wrong: int = 0
    not_run: int = 0
    seconds: float | None = None
    """From the end of the fault to the next call that the API carried out; None: none was due."""
    note: str = ""
    broken: str = ""
    """What else was promised and did not hold."""

    @property
    def holds(self) -> bool:
        """Tell whether every promise held; a second run that is marked breaks none."""
        return not (self.lost or self.wrong or self.broken)

    def to_the_last(self) -> Self:
        """Judge also that all tests ran, as is promised of faults that a run outlives."""
        return replace(self, broken=f"{self.not_run} not sent") if self.not_run else self

    def __add__(self, other: Self) -> Self:
        """Judge two runs as one."""
        return replace(
            self,
            lost=self.lost + other.lost,
            twice=self.twice + other.twice,
            wrong=self.wrong + other.wrong,
            not_run=self.not_run + other.not_run,
            broken=self.broken or other.broken,
        )

    @classmethod
    def of(
        cls,
        test_ids: Sequence[str],
        calls: Iterable[Call],
        recorded: Mapping[str, Record],
        delivery: Delivery,
        mended_at: float | None = None,
        note: str = "",
    ) -> Self:
        """Judge a trial.

        Args:
            test_ids: The tests that were to run.
            calls: All that the simulator received.
            recorded: What the run recorded, by test ID.
            delivery: What it promised about lost answers.
            mended_at: When the fault was over, in epoch seconds.
            note: What else was counted.
        """
        applied = [call for call in calls if call.applied]
        ran = Counter(call.test_id for call in applied)
        later = [call.at for call in applied if mended_at is not None and call.at >= mended_at]
        return cls(
            lost=sum(not ran[test_id] and test_id not in recorded for test_id in test_ids),
            twice=sum(ran[test_id] > 1 for test_id in test_ids),
            wrong=sum(
                is_wrong(ran[test_id], recorded.get(test_id), delivery) for test_id in test_ids
            ),
            not_run=sum(not ran[test_id] and test_id in recorded for test_id in test_ids),
            note=note,
            seconds=min(later) - mended_at if later and mended_at is not None else None,
        )


def is_wrong(ran: int, record: Record | None, delivery: Delivery) -> bool:
    """Tell whether what is recorded of a test is not what happened to it.

    Args:
        ran: How often the API made it run.
        record: What is recorded of it.
        delivery: What was promised.
    """
    if ran > 1 and delivery is Delivery.AT_MOST_ONCE:
        return True
    if record is None:
        return ran > 0
    if ran > 1 and not record.maybe_duplicate:
        return True
    if record.outcome is Outcome.ACCEPTED:
        return ran == 0
    # A doubt says of itself that nobody knows.
    return ran > 0 and not record.in_doubt
