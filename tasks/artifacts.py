"""The record of a run: one artifact a test, on any Prefect server, and the way back from it."""

import asyncio
import hashlib
import json
import re
from collections.abc import Awaitable, Callable, Iterable
from datetime import datetime
from typing import Any, Final, TypeVar
from uuid import UUID

import httpx
from prefect import get_client, get_run_logger
from prefect.artifacts import acreate_table_artifact
from prefect.client.schemas.actions import ArtifactUpdate
from prefect.client.schemas.filters import (
    ArtifactFilter,
    ArtifactFilterFlowRunId,
    ArtifactFilterKey,
)
from prefect.client.schemas.objects import Artifact
from prefect.client.schemas.sorting import ArtifactSort
from prefect.exceptions import PrefectHTTPStatusError

from thousandeyes.errors import Outcome
from thousandeyes.rerun import Rerun

Row = dict[str, str | int | float | bool | None]
Written = TypeVar("Written")

TEST_KEY: Final = "endpoint-test-"
OUTCOMES_KEY: Final = "endpoint-rerun-outcomes-"

_PAGE = 200  # what a Prefect server gives at most
_FIRST_PAUSE, _LONGEST_PAUSE = 1.0, 30.0


def row(record: Rerun) -> Row:
    """Return a record as a flat row of JSON values, the same keys for every record."""
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
    }


def from_row(values: dict[str, Any]) -> Rerun:
    """Return the record that a row was made of; keys of later versions are passed over."""
    known = {name: values[name] for name in row(Rerun("")) if name in values}
    known["outcome"] = Outcome(known["outcome"])
    for name in ("started_at", "finished_at"):
        if known.get(name):
            known[name] = datetime.fromisoformat(known[name])
    return Rerun(**known)


def artifact_key(test_id: str) -> str:
    """Return the key of a test's artifact: `endpoint-test-<test id>`.

    Keys know small letters, digits and dashes; an ID with anything else (none is known) gets a
    digest, so that no two share a key.
    """
    slug = re.sub(r"[^a-z0-9-]", "-", test_id.lower())
    if slug != test_id:
        slug += "-" + hashlib.sha256(test_id.encode()).hexdigest()[:8]
    return TEST_KEY + slug


async def record_outcome(record: Rerun, artifact_id: UUID | None = None) -> UUID:
    """Write a test's artifact, a one-row table, or bring the given one up to date.

    Waits as long as the Prefect server is away, so that no outcome is lost.
    """
    rows = [row(record)]
    key = artifact_key(record.test_id)
    words = f"{record.test_name or record.test_id}: {record.outcome}"
    if artifact_id is None:
        return await until_taken(
            lambda: acreate_table_artifact(table=rows, key=key, description=words)
        )

    async def update() -> UUID:
        async with get_client() as client:
            await client.update_artifact(
                artifact_id, ArtifactUpdate(data=json.dumps(rows), description=words)
            )
        return artifact_id

    return await until_taken(update)


async def read_outcomes(flow_run_ids: Iterable[UUID]) -> list[Rerun]:
    """Read back what these flow runs recorded, one record a test.

    A test's own artifact counts, the newest of several; what has none (`not_attempted`,
    `skipped`) comes from the runs' tables.
    """
    ids = list(flow_run_ids)
    tables = await _read(ids, ArtifactFilterKey(like_=f"{OUTCOMES_KEY}%"))
    tests = await _read(ids, ArtifactFilterKey(like_=f"{TEST_KEY}%"))
    records: dict[str, Rerun] = {}
    for artifact in (*tables, *tests):
        for values in json.loads(str(artifact.data)):
            record = from_row(values)
            records[record.test_id] = record
    return list(records.values())


async def _read(flow_run_ids: list[UUID], key: ArtifactFilterKey) -> list[Artifact]:
    found: list[Artifact] = []
    filters = ArtifactFilter(flow_run_id=ArtifactFilterFlowRunId(any_=flow_run_ids), key=key)
    async with get_client() as client:
        while True:
            page = await client.read_artifacts(
                artifact_filter=filters, sort=ArtifactSort.ID_DESC, limit=_PAGE, offset=len(found)
            )
            found += page
            if len(page) < _PAGE:
                return sorted(found, key=lambda artifact: str(artifact.updated))


async def until_taken(write: Callable[[], Awaitable[Written]]) -> Written:
    """Call `write` until the Prefect server takes it, however long it is away."""
    pause = _FIRST_PAUSE
    while True:
        try:
            return await write()
        except (httpx.TransportError, PrefectHTTPStatusError) as error:
            if isinstance(error, PrefectHTTPStatusError) and not error.response.is_server_error:
                raise
            get_run_logger().warning(
                "The Prefect server does not take an artifact (%s); next try in %.0f s",
                *(type(error).__name__, pause),
            )
        await asyncio.sleep(pause)
        pause = min(2 * pause, _LONGEST_PAUSE)


def _text(moment: datetime | None) -> str | None:
    return moment.isoformat(timespec="milliseconds") if moment else None
