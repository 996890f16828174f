"""What the command line was given, and the flow's parameters made of it."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final, TextIO

from prefect.settings import get_current_settings
from pydantic import ValidationError

from flows.rerun.options import RerunOptions
from flows.rerun.parameters import Parameters
from flows.rerun.selection import select
from tasks.blocks import read_names
from tasks.loading import refuse_known_tokens
from thousandeyes.arguments import flag
from thousandeyes.errors import SettingsError
from thousandeyes.lists import read_test_ids_text, refuse_tokens
from thousandeyes.mistakes import Mistake, mistakes
from thousandeyes.settings import ThousandEyesSettings
from thousandeyes.thresholds import Thresholds

NEVER: Final = "nothing"
"""The word for `--fail-on` with which a run never fails."""


@dataclass(frozen=True)
class Given:
    """The arguments as they were given: those for the output are separate, the rest is unchecked.

    `every` means to show each test, and `log` to show Prefect's log; None: as suits the terminal.
    `json_file` and `junit_file` are where the documents for other programs go. `judge_again` names
    a run to judge again instead of starting a new one.
    """

    every: bool | None
    log: bool | None
    json_file: str | None
    junit_file: str | None
    judge_again: str | None
    rest: Mapping[str, Any]

    def inputs(self, stdin: TextIO) -> list[str | int]:
        """Return the files that the tests may be read from, by name or by descriptor."""
        file = self.rest.get("test_ids_file")
        files = [file] if file else []
        with suppress(OSError):  # what a program put in its place has none
            files.append(stdin.fileno())
        return files


def parameters(given: Given, stdin: TextIO) -> Parameters:
    """Return the flow's parameters, checked as far as possible before Prefect is asked.

    Raises:
        InvalidTestIds: No test is named, or an ID can't be one, or there are more than Prefect
            takes.
        SettingsError: An option's value or the environment is wrong.
    """
    rest = dict(given.rest)
    groups, credentials = read_names(rest.pop("groups"), "--group"), rest.pop("credentials")
    test_ids = _with_stdin(given_ids := rest.pop("test_ids"), stdin)
    try:
        options = RerunOptions.model_validate(rest)
    except ValidationError as error:
        raise SettingsError("; ".join(dict.fromkeys(map(_told, mistakes(error))))) from None
    options.check_results_are_awaited(flag)
    named = [*groups, credentials, options.only_failed_of, options.compare_with]
    named += [options.name_pattern, options.test_ids_file]
    refuse_known_tokens(filter(None, named), "names of blocks, runs, tests and files")
    asked = Parameters(test_ids=test_ids, groups=groups, credentials=credentials, options=options)
    # An empty list of IDs narrows nothing down, and would leave all that failed.
    if test_ids or not (asked.name_tests or (options.only_failed_of and not given_ids)):
        checked = select(test_ids, {}, credentials).test_ids
        asked = asked.model_copy(update={"test_ids": checked})
    if not (groups or credentials or options.only_failed_of):
        refuse_tokens(asked.test_ids, [ThousandEyesSettings().token.get_secret_value()])
    asked.check_size(get_current_settings().server.api.max_parameter_size)
    return asked


def _with_stdin(arguments: Sequence[str], stdin: TextIO) -> list[str]:
    test_ids: list[str] = []
    for number, argument in enumerate(arguments, 1):
        if argument == "-":
            test_ids += read_test_ids_text(stdin.buffer.read(), "standard input")
        else:
            test_ids += read_test_ids_text(argument, f"argument {number}")
    return test_ids


def _told(mistake: Mistake) -> str:
    option, *within = map(str, mistake.place)
    if option == "fail_on":
        return f"{flag(option)}: {mistake.reason}, or the word {NEVER}"
    if option != "thresholds" or not within:
        return f"{flag(option)}: {mistake.reason}"
    known = Thresholds.model_fields
    reason = mistake.reason if within[0] in known else f"unknown, takes {', '.join(known)}"
    return f"{flag(option)} {within[0]}: {reason}"
