"""The flow: see what the group has, create the rest one by one, and always report."""

import time
from functools import partial
from pathlib import Path
from typing import Final

from prefect import flow, get_run_logger

from flows.create.definitions import (
    Definitions,
    as_definitions,
    check_names,
    read_definitions,
    with_password,
)
from flows.create.options import CreateOptions
from flows.create.run import CreationRun
from flows.runs.concurrency import in_background
from flows.runs.ending import RunFailed, reporting_mistakes, telling_mistakes, to_its_end
from flows.runs.form import OneGroup
from flows.runs.history import recorded, runs_of
from flows.runs.named_files import named_reader
from flows.runs.ownership import OwnRun
from flows.runs.sentence import passed_and_why
from tasks.known_tests import KnownTests, known_id
from tasks.loading import load_groups, load_settings, refuse_known_tokens
from tasks.publication import CREATIONS
from tasks.report import RunReport
from thousandeyes.client import ThousandEyesClient
from thousandeyes.outcomes import MEANING, Outcome
from thousandeyes.record import Record
from thousandeyes.text import duration, shown

_MAY_EXIST: Final = (
    "it may exist. A retry adopts it if the API lists it; else put its ID and name into the group, "
    "or name it in `create_again`."
)
_MEANING: Final = MEANING | {
    Outcome.UNKNOWN: f"Sent, but no trustworthy answer: {_MAY_EXIST}",
    Outcome.SERVER_ERROR: f"The API answered with an internal error: {_MAY_EXIST}",
    Outcome.NOT_ATTEMPTED: "The run stopped before its turn came: a retry creates it.",
}


class CreationFailed(RunFailed):
    """A run of `create-endpoint-tests` failed; raised in the flow that called it."""


@telling_mistakes
@flow(name="create-endpoint-tests", persist_result=False, retries=0)
async def create_endpoint_tests(
    group: OneGroup,
    tests: Definitions = [],  # noqa: B006 - never changed; the form shows it
    file: str | None = None,
    options: CreateOptions = CreateOptions(),  # noqa: B008 - frozen
) -> list[Record]:
    """Create the ThousandEyes endpoint instant tests that a group doesn't have yet, each once.

    A created test runs once, and belongs to the group from then on. A test whose ID the group
    holds under the definition's name exists; one of that name and type that the API lists is
    adopted. If an answer was lost, the test may exist: it is not created again unless
    `options.create_again` names it.

    Args:
        group: The Endpoint Test Group block, by name, that the tests belong to. One run at a time
            may change it.
        tests: Definitions of the tests: in YAML, such as `- {type: agent-to-server, test_name:
            Voice gateway, server: voice.example.com, port: 5061}` or `- {type: http-server,
            test_name: Intranet, url: intranet.example.com}`, a line for each test; or a single
            test, field by field.
        file: Path of a YAML file with more definitions, on the worker.
        options: How the run works.

    Returns:
        One record a definition, in the order given. `skipped` is a test that exists already; one
        that was not created has no ID.

    Raises:
        CreationFailed: A test ended in one of `options.fail_on`.
        InvalidDefinitions: There are none, a name appears twice or is unknown, or the file is
            wrong; nothing was sent.
        SettingsError: The token or a block is missing, or a setting is wrong; nothing was sent.
    """
    began = time.monotonic()
    async with reporting_mistakes(CREATIONS.summary):
        wanted = as_definitions(tests)
        if file:
            refuse_known_tokens([file], "names of files")
            wanted += read_definitions(Path(file), named_reader())
        check_names(wanted, options.create_again)
        name = str(group).strip()
        found = (await load_groups([name]))[name]
        settings = await load_settings(found.credentials)
        names = [definition.test_name for definition in wanted]
        refuse_known_tokens(names, "names of tests")
        prefix = settings.password_block_prefix
        definitions = [await with_password(definition, prefix) for definition in wanted]
        own_run = await OwnRun.of_this_process()
        own_runs = await runs_of(own_run.flow_run)
        created = await recorded(own_run.flow_run)  # in an earlier attempt
    records = [
        created.get(known_id(found, definition.test_name) or "")
        or Record("", shown(definition.test_name), aid=found.aid)
        for definition in definitions
    ]
    known = KnownTests(name, own_run.flow_run.id)
    run = CreationRun(
        records, known, own_run, {str(one) for one in own_runs}, options, logger=get_run_logger()
    )

    async def work() -> None:
        async with ThousandEyesClient(settings) as client:
            stop = partial(run.sending.stop, begun_too=True)
            async with in_background(own_run.watch(stop)):
                await run.execute(client, definitions)

    def report() -> RunReport:
        stopped = run.sending.stopped
        passed, sentence = passed_and_why(records, options.fail_on, stopped, done="created")
        took = duration(time.monotonic() - began)
        return RunReport(records, passed, sentence, took, meaning=_MEANING)

    return await to_its_end(
        work(),
        own_run=own_run,
        cut_short=run.sending.cut_short,
        report=report,
        close=run.sending.close,
        failure=CreationFailed,
        place=CREATIONS,
    )
