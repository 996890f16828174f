"""A record as a row of a table, and how to read it back."""

from collections.abc import Iterable
from datetime import datetime

from pydantic import TypeAdapter

from tasks.markdown import cell, from_cell
from thousandeyes import standing, verdict
from thousandeyes.app_links import is_app_link
from thousandeyes.judging import NO_VERDICT
from thousandeyes.outcomes import Outcome
from thousandeyes.record import Record
from thousandeyes.standing import NO_STANDING

Row = dict[str, str | int | float | bool | None]
_RECORD = TypeAdapter(Record)


def row(record: Record) -> Row:
    """Return a record as a row of a table, the same keys for every record.

    A text that Markdown would alter is put behind a tab: see `tasks.markdown.cell`.
    """
    return {
        name: cell(value) if isinstance(value, str) and not _is_link(name, value) else value
        for name, value in values_of(record).items()
    }


def values_of(record: Record) -> Row:
    """Return a record as flat JSON values, the same keys for every record, each text as it is.

    What people look for comes first, because the UI cuts wide tables at the right.
    """
    return {
        "test_id": record.test_id,
        "test_name": record.test_name,
        "outcome": record.outcome.value,
        "http_status": record.http_status,
        "attempts": record.attempts,
        "detail": record.detail,
        "maybe_duplicate": record.maybe_duplicate,
        "quota_wait_seconds": round(record.quota_wait_seconds, 1),
        "started_at": _text(record.started_at),
        "finished_at": _text(record.finished_at),
        "aid": record.aid,
        **(record.verdict.row() if record.verdict else NO_VERDICT),
        "paths": record.paths,
        "app_link": record.app_link,
        "rounds_after": record.rounds_after,
        **(record.standing.row() if record.standing else NO_STANDING),
    }


def fields_of(record: Record) -> list[Row]:
    """Return a record as the table of its own artifact, a row for each field that has a value.

    What people look for comes first; `why` is the one reason that counts.
    """
    values = row(record) | {"why": cell(record.why)}
    early = ("test_id", "test_name", "outcome", "verdict", "why", "change", "history")
    shown = {**{name: values[name] for name in early}, **values}
    return [{"field": name, "value": value} for name, value in shown.items() if value is not None]


def in_run_table(record: Record) -> Row:
    """Return a record as a row of its run's table, with what people read, the same keys for all."""
    values = row(record)
    agents = record.verdict.in_short if record.verdict else None
    if agents and record.is_provisional:
        agents += ", provisional"
    early = ("test_id", "test_name", "outcome", "verdict", "change")
    late = ("attempts", "maybe_duplicate", "app_link")
    return {
        **{name: values[name] for name in early},
        "why": cell(record.why),
        "agents": agents,
        **{name: values[name] for name in late},
    }


def carried_on(record: Record) -> Row:
    """Return a record without an artifact of its own as a row with how the test stands."""
    values = row(record)
    early = ("test_id", "test_name", "outcome", "detail", "attempts", "maybe_duplicate")
    return {name: values[name] for name in (*early, *NO_STANDING)}


def together(outcome: Outcome, test_ids: Iterable[str]) -> Row:
    """Return one row for tests of which only the outcome is recorded."""
    return {"outcome": outcome.value, "test_ids": cell(" ".join(test_ids))}


def from_row(values: object) -> Record:
    """Return the record that a row was made of; keys of later versions are ignored.

    A row of a run's table holds no verdict and no standing, except in tables of 0.1.0.

    Raises:
        ValidationError: It is not such a row.
    """
    if isinstance(values, dict):
        values = {
            name: from_cell(value) if isinstance(value, str) else value
            for name, value in values.items()
        }
        values.setdefault("detail", values.get("why", ""))
        if isinstance(outcome := values.get("outcome"), str):
            # An outcome that only a later version knows may mean that a call went out. Read as
            # `unknown`, the test is not sent again under at_most_once.
            values |= {
                "outcome": outcome if outcome in list(Outcome) else Outcome.UNKNOWN,
                "verdict": verdict.from_row(values),
                "standing": standing.from_row(values),
            }
    return _RECORD.validate_python(values)


def stored_rows(stored: object) -> list[object]:
    """Return a table's rows, one per test, even if the table has one for many, or many for one."""
    if not isinstance(stored, list):
        return [stored]
    if stored and all(isinstance(one, dict) and set(one) == {"field", "value"} for one in stored):
        nothing = dict.fromkeys(values_of(Record("")))
        return [nothing | {one["field"]: one["value"] for one in stored}]
    return [one for values in stored for one in _apart(values)]


def _apart(values: object) -> list[object]:
    if isinstance(values, dict) and isinstance(named := values.get("test_ids"), str):
        return [values | {"test_id": test_id} for test_id in from_cell(named).split()]
    return [values]


def _is_link(name: str, value: str) -> bool:
    """Tell whether a field holds a link that we made, and that people are to follow."""
    return name == "app_link" and is_app_link(value)


def _text(moment: datetime | None) -> str | None:
    return moment.isoformat(timespec="milliseconds") if moment else None
