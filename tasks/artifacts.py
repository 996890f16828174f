"""The record of a run: one artifact per test, on any Prefect server, and how to read it back."""

import hashlib
import json
import re
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from functools import partial
from http import HTTPStatus
from typing import Final
from uuid import UUID

from prefect import get_client
from prefect.client.schemas.actions import ArtifactUpdate
from prefect.client.schemas.filters import (
    ArtifactFilter,
    ArtifactFilterFlowRunId,
    ArtifactFilterKey,
)
from prefect.client.schemas.objects import Artifact
from prefect.client.schemas.sorting import ArtifactSort
from prefect.exceptions import PrefectHTTPStatusError
from pydantic import ValidationError

from tasks.artifact_creation import as_json, create_table, is_by_its_own_run
from tasks.markdown import code
from tasks.pages import all_of
from tasks.rows import fields_of, from_row, stored_rows
from tasks.server_calls import (
    Confirm,
    checking_changes,
    run_logger,
    until_answered,
    until_taken,
)
from thousandeyes.changes import is_gone
from thousandeyes.outcomes import Outcome, in_words
from thousandeyes.record import Record
from thousandeyes.text import cut, isolated, with_full_stop
from thousandeyes.verdict_words import agents_isolated

TEST_KEY: Final = "endpoint-test-"
OUTCOMES_KEY: Final = "endpoint-rerun-outcomes-"
NOT_SENT_KEY: Final = "endpoint-rerun-not-sent-"
DRY_RUN_OUTCOMES_KEY: Final = "endpoint-dry-run-outcomes-"
DRY_RUN_LEFT_OUT_KEY: Final = "endpoint-dry-run-left-out-"
_TABLES: Final = (OUTCOMES_KEY, NOT_SENT_KEY, DRY_RUN_OUTCOMES_KEY, DRY_RUN_LEFT_OUT_KEY)
_OF_A_RUN, _OF_A_DRY_RUN = "endpoint-rerun-", "endpoint-dry-run-"
"""What the keys of a run's tables begin with, so that one call reads both."""

_LONGEST_REASON: Final = 160  # in a description


def artifact_key(test_id: str) -> str:
    """Return the key of a test's artifact: `endpoint-test-<test id>`.

    Keys hold small letters, digits and dashes; an ID with anything else (none is known) gets a
    digest, so that no two share a key.
    """
    slug = re.sub(r"[^a-z0-9-]", "-", test_id.lower())
    if slug != test_id:
        slug += "-" + hashlib.sha256(test_id.encode()).hexdigest()[:8]
    return TEST_KEY + slug


async def record_outcome(
    record: Record,
    artifact_id: UUID | None = None,
    confirm: Confirm | None = None,
    ended_run: UUID | None = None,
) -> UUID:
    """Write a test's artifact, a table of its fields, or bring the given one up to date.

    Waits as long as the Prefect server is unreachable, so that no outcome is lost. If
    somebody deleted the artifact meanwhile, it is written anew.

    Args:
        record: The test.
        artifact_id: The artifact to bring up to date, if there is one.
        confirm: Called before each try; what it raises ends the tries.
        ended_run: The flow run that a new artifact belongs to, if not the one under way.

    Returns:
        The artifact's ID.

    Raises:
        NoAccess: The Prefect server does not let this process in.
        PrefectHTTPStatusError: The Prefect server refuses it.
    """
    rows = fields_of(record)
    key = artifact_key(record.test_id)
    words = description(record)

    async def write() -> UUID:
        if artifact_id is None:
            return await create_table(rows, key, words, ended_run)
        async with get_client() as client:
            await checking_changes(client).update_artifact(
                artifact_id, ArtifactUpdate(data=as_json(rows), description=words)
            )
        return artifact_id

    try:
        return await until_taken(write, confirm=confirm)
    except PrefectHTTPStatusError as error:
        if artifact_id is None or error.response.status_code != HTTPStatus.NOT_FOUND:
            raise
    return await record_outcome(record, confirm=confirm, ended_run=ended_run)


def description(record: Record) -> str:
    """Return how a test ended, why, and how its last runs ended, in one line of Markdown.

    It is the title of the page that lists all versions, which says of none how it ended.
    """
    words = f"{code(isolated(record.test_name) or record.test_id)}: {in_words(record.ending)}"
    if reason := cut(record.reason, _LONGEST_REASON):
        words += f". {code(agents_isolated(reason, record.verdict))}"
    history = record.standing.history if record.standing else ""
    if history[1:]:
        words = f"{with_full_stop(words)} Last {len(history)} runs: {history}"
    return words


async def read_outcomes(
    flow_run_ids: Iterable[UUID],
    *,
    gone_too: bool = False,
    dry_runs_too: bool = False,
    since: datetime | None = None,
) -> list[Record]:
    """Read back what the attempts of a run recorded, one record per test.

    A test's own artifact counts; tests without one (`not_attempted`, `skipped`) come from the run's
    tables, as far as these reach. Of several the newest counts, unless an older one says more: it
    may come late, from a process that did not know that another had taken over its run, or look
    new to a server whose clock was set back. What was accepted stays accepted, and more calls say
    more. A test that any artifact of a flow run calls a possible duplicate is one. What can't be
    read (of another version, or made by hand) is skipped with a warning. This waits while the
    Prefect server is unreachable.

    Args:
        flow_run_ids: The flow runs that are attempts of the run.
        gone_too: Whether to return tests outside the run too, if it carries on their history.
        dry_runs_too: Whether to return what dry runs recorded too, which says nothing of reruns.
        since: Read only what was created since then, by the Prefect server's clock.
    """
    ids = list(flow_run_ids)
    of_runs = await _read(ids, ArtifactFilterKey(like_=f"{_OF_A_RUN}%"))
    if dry_runs_too:
        of_runs += await _read(ids, ArtifactFilterKey(like_=f"{_OF_A_DRY_RUN}%"))
    tables = [one for one in of_runs if str(one.key).startswith(_TABLES)]
    tests = await _read(ids, ArtifactFilterKey(like_=f"{TEST_KEY}%"))
    told = [
        (artifact, record)
        for artifact in (*tables, *tests)
        if not (since and artifact.created and artifact.created < since)
        for record in _records(artifact)
    ]
    twice = {(one.flow_run_id, record.test_id) for one, record in told if record.maybe_duplicate}
    found = {record.test_id: record for _, record in told}  # in the order of the tables
    for artifact, record in sorted(told, key=_says):  # the newest last, of those that say as much
        is_marked = (artifact.flow_run_id, record.test_id) in twice
        found[record.test_id] = replace(record, maybe_duplicate=is_marked)
    return [record for record in found.values() if gone_too or not is_gone(record)]


def _says(told: tuple[Artifact, Record]) -> tuple[bool, bool, int]:
    """Return how much a record says, and the artifact that it is in."""
    artifact, record = told
    is_its_own = str(artifact.key).startswith(TEST_KEY)
    return is_its_own, record.outcome is Outcome.ACCEPTED, record.attempts


def _records(artifact: Artifact) -> list[Record]:
    records = []
    try:
        rows = json.loads(str(artifact.data))
    except ValueError:
        rows = None
    rows = stored_rows(rows)
    for values in rows:
        with suppress(ValidationError):
            records.append(from_row(values))
    if missing := len(rows) - len(records):
        run_logger().warning("%d rows of artifact %s can't be read", missing, artifact.key)
    return records


async def times_of(flow_run_ids: Iterable[UUID], key: str) -> list[datetime]:
    """Return when these flow runs made artifacts with keys that begin so, by the server's clock."""
    found = await _read(list(flow_run_ids), ArtifactFilterKey(like_=f"{key}%"))
    return [one.created for one in found if is_by_its_own_run(one) and one.created]


async def newest_artifact(flow_run_ids: Iterable[UUID], key: str) -> Artifact | None:
    """Return the newest artifact of these flow runs whose key begins so, if any."""
    found = await _read(list(flow_run_ids), ArtifactFilterKey(like_=f"{key}%"))
    return found[-1] if found else None


@until_answered
async def _read(flow_run_ids: list[UUID], key: ArtifactFilterKey) -> list[Artifact]:
    filters = ArtifactFilter(flow_run_id=ArtifactFilterFlowRunId(any_=flow_run_ids), key=key)
    async with get_client() as client:
        read = partial(client.read_artifacts, artifact_filter=filters, sort=ArtifactSort.ID_DESC)
        found = await all_of(read)
    return sorted(found, key=lambda artifact: str(artifact.updated))
