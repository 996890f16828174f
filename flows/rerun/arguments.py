"""The command line's arguments: what they are, and the flow's parameters made of them."""

import argparse
import json
from collections.abc import Callable, Sequence
from enum import StrEnum
from typing import Any, Final, TextIO

from prefect.settings import get_current_settings
from pydantic import ValidationError
from pydantic.fields import FieldInfo

from flows.rerun.options import RerunOptions
from flows.rerun.parameters import Parameters
from flows.rerun.selection import select
from tasks.blocks import read_names
from thousandeyes.errors import InvalidTestIds, SettingsError
from thousandeyes.lists import read_test_ids_text, refuse_tokens
from thousandeyes.mistakes import Mistake, mistakes
from thousandeyes.release import add_version
from thousandeyes.settings import ThousandEyesSettings
from thousandeyes.thresholds import Thresholds


def _fail_on(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]


def _thresholds(text: str) -> dict[str, str]:
    pairs = (part.partition("=") for part in text.split(",") if part.strip())
    return {name.strip(): value.strip() for name, _, value in pairs}


_VALUES: Final[dict[str, tuple[str, Callable[[str], object]]]] = {
    "fail_on": ("ENDING,…", _fail_on),
    "max_in_flight": ("N", str),
    "deadline_minutes": ("M", str),
    "results_deadline_minutes": ("M", str),
    "expected_agents": ("N", str),
    "thresholds": ("NAME=VALUE,…", _thresholds),
    "test_ids_file": ("FILE", str),
    "name_pattern": ("PATTERN", str),
    "only_failed_of": ("RUN", str),
    "compare_with": ("RUN", str),
    "skip_if_run_within_minutes": ("M", str),
}
"""Of options that take a value: what it looks like, and how it is read, if not as `VALUE` and as it
stands. The model checks it."""


def parser() -> argparse.ArgumentParser:
    """Return the parser; its help is the command's documentation."""
    parser = argparse.ArgumentParser(
        prog="python -m flows.rerun",
        description="Run ThousandEyes endpoint instant tests again and show what became of each.",
        epilog=(
            "settings: TE_TOKEN, and as needed TE_AID, TE_BASE_URL and others, from the "
            "environment or .env. exit status: 0 the run passed; 1 it ran and failed by --fail-on; "
            "2 wrong arguments or settings, nothing was sent; 3 it broke, see the log; 130 "
            "interrupted; 143 terminated."
        ),
    )
    add_version(parser)
    parser.add_argument(
        "test_ids", nargs="*", metavar="ID", help="test IDs; - reads them from standard input"
    )
    parser.add_argument(
        "--group",
        action="append",
        default=[],
        dest="groups",
        metavar="NAME",
        help="an Endpoint Test Group block on the Prefect server; may be given several times",
    )
    parser.add_argument(
        "--credentials",
        metavar="NAME",
        help="a ThousandEyes Credentials block, instead of the groups' or the environment's",
    )
    for name, field in RerunOptions.model_fields.items():
        _add(parser, name, field)
    return parser


def parameters(arguments: Sequence[str] | None, stdin: TextIO) -> Parameters:
    """Return the flow's parameters, checked as far as can be before Prefect is asked.

    Exits with status 2, as argparse does, for arguments that it doesn't know.

    Raises:
        InvalidTestIds: No test is named, or one that can't be, or more than Prefect takes.
        SettingsError: An option's value or the environment is wrong.
    """
    given = vars(parser().parse_args(arguments))
    groups, credentials = read_names(given.pop("groups"), "--group"), given.pop("credentials")
    test_ids = _with_stdin(given.pop("test_ids"), stdin)
    try:
        options = RerunOptions.model_validate(given)
    except ValidationError as error:
        raise SettingsError("; ".join(map(_told, mistakes(error)))) from None
    asked = Parameters(test_ids=test_ids, groups=groups, credentials=credentials, options=options)
    if test_ids or not (asked.name_tests or options.only_failed_of):
        checked = select(test_ids, {}, credentials).test_ids
        asked = asked.model_copy(update={"test_ids": checked})
    if not (groups or credentials or options.only_failed_of):
        refuse_tokens(asked.test_ids, [ThousandEyesSettings().token.get_secret_value()])
    _check_size(asked)
    return asked


def _add(parser: argparse.ArgumentParser, name: str, field: FieldInfo) -> None:
    shared: dict[str, Any] = {"default": argparse.SUPPRESS, "help": str(field.description)}
    kind = field.annotation
    if kind is bool:
        parser.add_argument(_flag(name), action=argparse.BooleanOptionalAction, **shared)
    elif isinstance(kind, type) and issubclass(kind, StrEnum):
        parser.add_argument(_flag(name), choices=[str(choice) for choice in kind], **shared)
    else:
        metavar, read = _VALUES.get(name, ("VALUE", str))
        if kind is Thresholds:
            shared["help"] += f" Names: {', '.join(Thresholds.model_fields)}."
        parser.add_argument(_flag(name), metavar=metavar, type=read, **shared)


def _with_stdin(arguments: Sequence[str], stdin: TextIO) -> list[str]:
    test_ids: list[str] = []
    for number, argument in enumerate(arguments, 1):
        if argument == "-":
            test_ids += read_test_ids_text(stdin.buffer.read(), "standard input")
        else:
            test_ids += read_test_ids_text(argument, f"ID {number} of the command line")
    return test_ids


def _check_size(asked: Parameters) -> None:
    limit = get_current_settings().server.api.max_parameter_size
    values: dict[str, Any] = asked.model_dump(mode="json")
    size = len(json.dumps(values, separators=(",", ":")).encode())
    if size > limit > 0:
        raise InvalidTestIds(
            f"{len(asked.test_ids):,} test IDs are {size:,} bytes, and Prefect takes {limit:,} "
            "bytes of parameters a run. Put them into a file and name it with --test-ids-file, or "
            "raise PREFECT_SERVER_API_MAX_PARAMETER_SIZE here and on the server. Nothing was sent."
        )


def _flag(name: str) -> str:
    return f"--{name.replace('_', '-')}"


def _told(mistake: Mistake) -> str:
    option, *within = map(str, mistake.place)
    name = f" {within[0]}" if option == "thresholds" and within else ""
    return f"{_flag(option)}{name}: {mistake.reason}"
