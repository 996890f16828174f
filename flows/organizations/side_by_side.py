"""The runs of several organizations: side by side, and what all of them come to."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass

from prefect import get_run_logger

from flows.organizations.continuation import called
from flows.rerun import RerunFailed
from flows.rerun.remote import Outcomes, RerunUnfinished
from flows.runs.concurrency import all_or_first_error
from tasks.markdown import plain
from tasks.report import RunReport
from thousandeyes.record import Record
from thousandeyes.text import counted

_HEAD = ("| organization | groups | tests | how it ended |", "| --- | --- | ---: | --- |")


@dataclass(frozen=True)
class Organization:
    """How the run of one organization ended; `name` is what people call it."""

    name: str
    groups: Sequence[str]
    records: Sequence[Record]
    passed: bool
    sentence: str


class SideBySide:
    """Runs all organizations at once; if one fails, the others continue.

    Args:
        organizations: The names of each organization's groups, by its credentials.
        begin: Runs an organization with these groups and waits for its end.
    """

    def __init__(
        self,
        organizations: Mapping[str | None, Sequence[str]],
        begin: Callable[[str | None, Sequence[str]], Awaitable[Outcomes]],
    ) -> None:
        self._organizations = organizations
        self._begin = begin
        self._ended: dict[str | None, Organization] = {}

    async def all(self) -> None:
        """Return when the run of each organization is over."""
        await all_or_first_error(map(self._run, self._organizations))

    def cut_short(self, reason: str) -> None:
        """Note of those that are not over why nobody watches them any longer."""
        for organization, names in self._organizations.items():
            self._ended.setdefault(organization, _unfinished(called(organization), names, reason))

    def results(self) -> list[Organization]:
        """Return how each ended, in their order. All are over or cut short by now."""
        return [self._ended[organization] for organization in self._organizations]

    async def _run(self, organization: str | None) -> None:
        name, groups = called(organization), self._organizations[organization]
        run = self._begin(organization, groups)
        self._ended[organization] = await _to_its_end(name, groups, run)


def conclude(results: Sequence[Organization], took: str, *, dry_run: bool = False) -> RunReport:
    """Combine the organizations' runs; of a dry run, the sentence says what each found. Pure."""
    told = failed = [one for one in results if not one.passed]
    what = f"{len(results) - len(failed)} of {len(results)} organizations passed"
    if dry_run:
        told = sorted(results, key=lambda one: one.passed)
        what = f"Dry run of {counted(len(results), 'organization')}"
    said = (f"{one.name}: {one.sentence.removeprefix('Dry run: ')}" for one in told)
    why = "; " + " ".join(said) if told else "."
    rows = [
        f"| {plain(one.name)} | {plain(', '.join(one.groups))} | {len(one.records)} "
        f"| {plain(one.sentence)} |"
        for one in results
    ]
    return RunReport(
        records=[record for one in results for record in one.records],
        passed=not failed,
        sentence=what + why,
        took=took,
        preface="\n".join([*_HEAD, *rows]),
        word="" if dry_run and not failed else None,
        organizations={record.test_id: one.name for one in results for record in one.records},
    )


async def _to_its_end(name: str, groups: Sequence[str], run: Awaitable[Outcomes]) -> Organization:
    """Run one organization. Whatever goes wrong does not stop the others."""
    logger = get_run_logger()
    try:
        records = await run
    except (RerunFailed, RerunUnfinished) as error:
        logger.error("%s: %s", name, error)  # noqa: TRY400 - expected, and complete
        return Organization(name, groups, error.outcomes, passed=False, sentence=str(error))
    except Exception as error:
        logger.exception("%s: unexpected error", name)
        return _unfinished(name, groups, f"unexpected {type(error).__name__}, see the log")
    return Organization(name, groups, records, passed=True, sentence=records.sentence)


def _unfinished(name: str, groups: Sequence[str], reason: str) -> Organization:
    sentence = f"its run may still be going, but is no longer being watched: {reason}."
    return Organization(name, groups, (), passed=False, sentence=sentence)
