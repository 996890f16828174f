"""What a run is about: its tests in order, what their groups say, and whose they are. Pure.

docs/groups-and-credentials.md has the rules of precedence, docs/choose-and-skip.md those of choice.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Final, TypeVar

from flows.rerun.options import RerunOptions
from flows.runs.breaker import OPENING
from flows.runs.history import Died
from flows.runs.sentence import fails_the_run
from tasks.blocks import EndpointTestGroup, by_organization
from thousandeyes.delivery import Delivery
from thousandeyes.errors import InvalidTestIds, SettingsError
from thousandeyes.outcomes import GOOD, IN_DOUBT, KEPT, Outcome
from thousandeyes.record import Record
from thousandeyes.text import listed
from thousandeyes.thresholds import Thresholds

Said = TypeVar("Said")

_NOBODY: Final[Mapping[str, str]] = MappingProxyType({})


@dataclass(frozen=True)
class Selection:
    """The tests of a run. The mappings hold only what some group says of a test."""

    test_ids: list[str]
    names: Mapping[str, str]
    thresholds: Mapping[str, Thresholds]
    aids: Mapping[str, str]
    credentials: str | None
    """Name of the credentials block; None is the worker's environment."""
    carried: Mapping[str, Record] = field(default_factory=dict)
    """Tests that an earlier run left in doubt, which this one settles and doesn't send again."""

    def take_up(self, earlier: Mapping[str, Record], delivery: Delivery) -> list[Record]:
        """Return one record per test: its earlier one, if any, updated by the groups of now.

        Args:
            earlier: What an interrupted or failed attempt of this run left, by test ID; updated in
                place. A test that the selection no longer holds is left out.
            delivery: Decides which tests are sent again, so that a corrected account group counts.
        """
        known = {**self.carried, **earlier}
        records = [known.get(test_id) or Record(test_id) for test_id in self.test_ids]
        for record in records:
            if name := self.names.get(record.test_id):
                record.named(name)
            if record.needs_call(delivery):
                record.belongs_to(self.aids.get(record.test_id))
        return records


def select(
    test_ids: Iterable[str],
    groups: Mapping[str, EndpointTestGroup],
    credentials: str | None,
    found: Mapping[str, str] = _NOBODY,
) -> Selection:
    """Return what a run is about.

    Args:
        test_ids: IDs given one by one.
        groups: The groups asked for, by name, in order.
        credentials: Name of the credentials block given for the run, if any.
        found: The names of the tests that were found by name, by ID.

    Raises:
        InvalidTestIds: There are none.
        SettingsError: The groups are of different organizations.
    """
    in_turn = list(groups.values())
    wanted = [*test_ids, *(one for group in in_turn for one in group.test_ids), *found]
    if not wanted:
        raise InvalidTestIds(
            "no tests given: name test IDs, groups of tests, or both. Nothing was sent."
        )
    return Selection(
        test_ids=list(dict.fromkeys(wanted)),
        names=_first([*(group.names for group in in_turn), found]),
        thresholds=_first(_each(group, group.thresholds) for group in in_turn),
        aids=_first(_each(group, group.aid) for group in in_turn),
        credentials=credentials_of(groups, credentials),
    )


def only_failed(
    chosen: Selection, outcomes: Mapping[str, Record], then: RerunOptions, delivery: Delivery
) -> Selection:
    """Return a selection without the tests that ended well in an earlier run.

    Tests with an ending that may stop a run come last. In their old places, ten IDs that are gone
    would stop every such run before the others had their turn. Otherwise the order stays.

    Args:
        chosen: The tests to choose from.
        outcomes: What that run recorded. A test without a record had no turn, and stays.
        then: The options of that run.
        delivery: Under `at_most_once` a test in doubt is settled, and not sent again.
    """
    left = [
        test_id
        for test_id in chosen.test_ids
        if test_id not in outcomes or not is_done_with(outcomes[test_id], then)
    ]
    left.sort(key=lambda one: one in outcomes and outcomes[one].outcome in OPENING)
    known = [outcomes[test_id] for test_id in left if test_id in outcomes]
    return replace(
        chosen,
        test_ids=left,
        names=_first([chosen.names, {one.test_id: one.test_name for one in known}]),
        aids=_first([chosen.aids, {one.test_id: one.aid for one in known if one.aid}]),
        carried={one.test_id: one for one in known if one.needs_settling(delivery)},
    )


def mark_possibly_sent(
    to_send: Iterable[Record],
    at_a_time: int,
    died: Died,
    out_of_turn: Callable[[Record], bool],
) -> None:
    """Mark as in doubt what an attempt that died may have sent without a record of it.

    It worked through the list in this order, that many at a time, and recorded each outcome before
    it took the next test. So only the first tests without an outcome can have been under way, and
    those before the last of these that an earlier attempt recorded. It left out account groups as a
    whole, so each is counted by itself. Tests that had just run it took last or left out, so any of
    them may have been under way.

    Args:
        to_send: The tests, in the order of the list.
        at_a_time: How many were under way at a time.
        died: What is known of it.
        out_of_turn: Tells whether it may have skipped a test and sent it later.
    """
    counted: Counter[str | None] = Counter()
    for record in to_send:
        had_no_turn = record.outcome is Outcome.NOT_ATTEMPTED
        if not had_no_turn and (record.outcome in KEPT | IN_DOUBT or record.test_id in died.told):
            continue
        if not out_of_turn(record):
            if counted[record.aid] == at_a_time:
                continue
            # If several died, each may have sent others of those that had a turn before.
            counted[record.aid] += had_no_turn or died.attempts == 1
        record.left_in_doubt("an attempt that died may have sent it")


def possibly_sent(
    chosen: Selection, outcomes: Mapping[str, Record], at_a_time: int, died: Died
) -> dict[str, Record]:
    """Return, as in doubt, what a run that died may have sent without recording it, by test ID.

    Args:
        chosen: The tests.
        outcomes: What that run recorded, by test ID.
        at_a_time: How many were under way at a time, if it sent the tests in this order; else all.
        died: What is known of the attempt that died.
    """
    records = [outcomes.get(test_id) or Record(test_id) for test_id in chosen.test_ids]
    for record in records:
        if record.outcome is Outcome.NOT_ATTEMPTED:  # a table's row holds no account group
            record.belongs_to(chosen.aids.get(record.test_id))
    mark_possibly_sent(records, at_a_time, died, lambda _: False)
    return {record.test_id: record for record in records if record.in_doubt}


def is_done_with(record: Record, options: RerunOptions) -> bool:
    """Tell whether a test ended well in a run with these options.

    It was accepted and, if the run waited for results, passed; or it was skipped. A test that
    failed the run never ended well.
    """
    good = GOOD - {Outcome.ACCEPTED} if options.wait_for_results else GOOD
    return record.ending in good and not fails_the_run(record, options.fail_on)


def _each(group: EndpointTestGroup, said: Said | None) -> dict[str, Said]:
    return {} if said is None else dict.fromkeys(group.test_ids, said)


def _first(by_group: Iterable[Mapping[str, Said]]) -> dict[str, Said]:
    first: dict[str, Said] = {}
    for said in by_group:
        first = {**said, **first}
    return first


def credentials_of(groups: Mapping[str, EndpointTestGroup], credentials: str | None) -> str | None:
    """Return the name of the credentials block that a run should use; None: the environment.

    Raises:
        SettingsError: The groups are of different organizations, and the run was given no
            credentials.
    """
    if credentials:
        return credentials
    by_credentials = by_organization(groups)
    if len(by_credentials) > 1:
        told = listed(
            [
                f"{credentials or 'the environment'} for {listed(names)}"
                for credentials, names in by_credentials.items()
            ]
        )
        raise SettingsError(
            f"the groups need different credentials ({told}), and one run is one organization. "
            "Start rerun-organizations, or give the run its credentials. Nothing was sent."
        )
    return next(iter(by_credentials), None)
