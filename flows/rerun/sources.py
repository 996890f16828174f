"""Where the tests of a run come from: blocks, a file, the API's list, an earlier run."""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Final

from prefect import get_run_logger
from prefect.types import DateTime

from flows.rerun.earlier import find_run, heard, left_out
from flows.rerun.parameters import Parameters
from flows.rerun.selection import (
    Selection,
    credentials_of,
    only_failed,
    possibly_sent,
    select,
)
from flows.runs.history import died_unseen, recorded
from flows.runs.named_files import Reader, folder_reader, named_reader
from tasks.loading import load_groups, load_settings, refuse_known_tokens
from thousandeyes.client import ThousandEyesClient
from thousandeyes.delivery import Delivery
from thousandeyes.errors import CallFailed, InvalidTestIds, SettingsError
from thousandeyes.files import LARGEST, NotRead, read_own
from thousandeyes.finding import matching
from thousandeyes.lists import read_test_ids_text, refuse_tokens
from thousandeyes.redaction import known_tokens
from thousandeyes.text import counted, quoted

_GIVEN: Final = "names of files and patterns of names"


async def read_selection(
    asked: Parameters, before: DateTime | None, reader: Callable[[], Reader] = named_reader
) -> Selection:
    """Return the tests that a run is about; `selection` has the rules of precedence.

    Args:
        asked: What the run was given.
        before: When the run began: of a deployment that it names, only earlier runs count.
        reader: Returns what reads the file that the run was given.

    Raises:
        InvalidTestIds: There are no tests, or something can't be an ID.
        SettingsError: A block, a file or a run is missing or wrong; a list can't be read.
    """
    reference = asked.options.only_failed_of
    if not reference:
        return await _read(asked, reader)
    run, then = await find_run(reference, before)
    if asked.name_tests:
        chosen = await _read(asked, reader)
        done = await left_out(run, then, chosen.test_ids)
        kept = [test_id for test_id in chosen.test_ids if test_id not in done]
        chosen = replace(chosen, test_ids=kept)
    else:
        credentials = asked.credentials or then.credentials
        chosen = await read_selection(
            then.model_copy(update={"credentials": credentials}), run.start_time, folder_reader
        )
    delivery = asked.options.delivery
    if delivery is Delivery.AT_MOST_ONCE:
        outcomes = await heard(run, then)
        # Without the same promise it recorded nothing ahead of its calls.
        promised = then.options.delivery is delivery
        if not promised and (died := await died_unseen(run, under_way=False)):
            # If it knew of rounds, it put tests last or left them out.
            knew = then.options.wait_for_results or then.options.skip_if_run_within_minutes
            in_order = not (knew or asked.name_tests)
            most = then.options.max_in_flight if in_order else len(chosen.test_ids)
            outcomes |= possibly_sent(chosen, outcomes, most, died)
    else:
        outcomes = await recorded(run)
    left = only_failed(chosen, outcomes, then.options, delivery)
    get_run_logger().info(
        "Of %s %d did not end well in run %r",
        counted(len(chosen.test_ids), "test"),
        len(left.test_ids),
        run.name,
    )
    return left


async def _read(asked: Parameters, reader: Callable[[], Reader]) -> Selection:
    options = asked.options
    test_ids = list(asked.test_ids)
    refuse_known_tokens(filter(None, (options.test_ids_file, options.name_pattern)), _GIVEN)
    if options.test_ids_file:
        test_ids += read_ids(options.test_ids_file, reader())
    groups = await load_groups(asked.groups, asked.credentials)
    found = {}
    if options.name_pattern:
        credentials = credentials_of(groups, asked.credentials)
        others = bool(test_ids or any(group.test_ids for group in groups.values()))
        found = await _find(options.name_pattern, credentials, others=others)
    selection = select(test_ids, groups, asked.credentials, found)
    await _refuse_tokens(selection)
    return selection


async def _refuse_tokens(selection: Selection) -> None:
    tokens = known_tokens()
    for credentials in {selection.credentials, None}:
        with suppress(SettingsError):  # reported where they are needed
            tokens.append((await load_settings(credentials)).token.get_secret_value())
    refuse_tokens(selection.test_ids, tokens)


def read_ids(path: str, read: Reader = read_own) -> list[str]:
    """Return the test IDs in a text file.

    Args:
        path: The file.
        read: Reads up to that many bytes of it.

    Raises:
        InvalidTestIds: It holds something else; says where.
        SettingsError: It can't be read.
    """
    try:
        content = read(Path(path), LARGEST)
    except NotRead as error:
        raise SettingsError(
            f"test_ids_file: {path} can't be read: {error}. A run on a worker reads files on that "
            "machine, in the folder that TE_FILES_DIR names. The same holds for a file that an "
            "earlier run was given: on the command line, name it again. Nothing was sent."
        ) from None
    return read_test_ids_text(content, f"test_ids_file: {path}")


async def _find(pattern: str, credentials: str | None, *, others: bool) -> dict[str, str]:
    """Return the names of the listed tests that fit, by ID; empty only beside other tests."""
    async with ThousandEyesClient(await load_settings(credentials)) as client:
        refuse_known_tokens([pattern], _GIVEN)  # now that the token of the credentials is known
        try:
            tests = await client.tests()
        except CallFailed as error:
            raise SettingsError(
                f"name_pattern: the API's list of tests can't be read: {error}. No test was sent."
            ) from None
    found = {test.test_id: test.test_name for test in matching(tests, name=pattern)}
    if not found:
        words = (
            f"none of the {counted(len(tests), 'test')} that the API lists has a name that fits "
            f"{quoted([pattern])}; it may not list instant tests"
        )
        if not others:
            raise InvalidTestIds(f"no tests given: name_pattern: {words}. Nothing was sent.")
        get_run_logger().warning("name_pattern: %s", words)
    return found
