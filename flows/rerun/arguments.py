"""The command line's arguments: what they are, and the flow's parameters made of them."""

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final, TextIO

from prefect.settings import get_current_settings
from pydantic import ValidationError
from pydantic.fields import FieldInfo

from flows.rerun.options import RerunOptions
from flows.rerun.parameters import Parameters
from flows.rerun.selection import select
from tasks.blocks import read_names
from thousandeyes.arguments import Once, Together, naming, one
from thousandeyes.errors import SettingsError
from thousandeyes.lists import read_test_ids_text, refuse_tokens
from thousandeyes.mistakes import Mistake, mistakes
from thousandeyes.release import add_version
from thousandeyes.settings import ThousandEyesSettings
from thousandeyes.thresholds import Thresholds

_WHAT, _HOW, _RESULTS, _OUTPUT = "what to run", "how to run it", "results", "output"
_GROUPS: Final[dict[str, tuple[str, ...]]] = {
    _WHAT: ("test_ids_file", "name_pattern", "only_failed_of", "skip_if_run_within_minutes"),
    _HOW: (),  # and whatever is named nowhere else
    _RESULTS: (
        "wait_for_results",
        "results_deadline_minutes",
        "expected_agents",
        "thresholds",
        "link_to_app",
        "name_laptops_and_networks",
        "paths_of_failing_agents",
    ),
    _OUTPUT: (),
}
"""The groups of the help, and the options in each."""


def _fail_on(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]


def _thresholds(text: str) -> list[tuple[str, str]]:
    pairs = (part.partition("=") for part in text.split(",") if part.strip())
    return [(name.strip(), value.strip()) for name, _, value in pairs]


_NUMBER: Final[dict[str, Any]] = {"metavar": "N", "action": Once}
_MINUTES: Final[dict[str, Any]] = {"metavar": "M", "action": Once}
_VALUES: Final[dict[str, dict[str, Any]]] = {
    "fail_on": {"metavar": "ENDING,…", "type": _fail_on, "action": "extend"},
    "max_in_flight": _NUMBER,
    "deadline_minutes": _MINUTES,
    "results_deadline_minutes": _MINUTES,
    "expected_agents": _NUMBER,
    "paths_of_failing_agents": _NUMBER,
    "thresholds": {"metavar": "NAME=VALUE,…", "type": _thresholds, "action": Together},
    "test_ids_file": one("FILE"),
    "name_pattern": one("PATTERN"),
    "only_failed_of": one("RUN"),
    "compare_with": one("RUN"),
    "skip_if_run_within_minutes": _MINUTES,
}
"""How argparse reads each option that takes a value. The model checks it."""


@dataclass(frozen=True)
class Given:
    """The arguments as they were given: what concerns the output is known, the rest unchecked.

    `every` tells to show each test, `log` to show Prefect's log; None: as the terminal has it.
    `json_file` and `junit_file` are where the documents for other programs go. `judge_again` names
    a run that is to be judged again, in place of a new one.
    """

    every: bool | None
    log: bool | None
    json_file: str | None
    junit_file: str | None
    judge_again: str | None
    rest: Mapping[str, Any]


def read_arguments(arguments: Sequence[str] | None) -> Given:
    """Return the arguments; exits with status 2, as argparse does, for unknown ones.

    Raises:
        SettingsError: Two of them ask for standard output, or for a new run and an earlier one.
    """
    given = vars(parser().parse_args(arguments))
    if given["junit_file"] == "-":
        raise SettingsError(
            "--junit takes a file: standard output is for --json. Nothing was sent."
        )
    names = ("every", "log", "json_file", "junit_file", "judge_again")
    own = {name: given.pop(name) for name in names}
    if own["judge_again"] and any(value not in (None, []) for value in given.values()):
        raise SettingsError(
            "--judge-again takes no tests and no options of a run: it judges that run with the "
            "run's own options. Nothing was sent."
        )
    return Given(**own, rest=given)


def parser() -> argparse.ArgumentParser:
    """Return the parser; its help is the command's documentation."""
    parser = argparse.ArgumentParser(
        prog="python -m flows.rerun",
        usage="%(prog)s [options] [ID …]",
        description="Run ThousandEyes endpoint instant tests again and show what became of each.",
        epilog=(
            "settings: TE_TOKEN, and as needed TE_AID, TE_BASE_URL and others, from the "
            "environment or .env. exit status: 0 the run passed; 1 it ran and failed by --fail-on; "
            "2 wrong arguments or settings, nothing was sent; 3 it broke, see the log; 130 "
            "interrupted; 143 terminated."
        ),
        add_help=False,
    )
    add_version(parser)
    groups = {title: parser.add_argument_group(title) for title in _GROUPS}
    _add_own(groups)
    for name, field in RerunOptions.model_fields.items():
        title = next((title for title, names in _GROUPS.items() if name in names), _HOW)
        _add(groups[title], name, field)
    return parser


def _add_own(groups: Mapping[str, argparse._ArgumentGroup]) -> None:
    what, how, output = groups[_WHAT], groups[_HOW], groups[_OUTPUT]
    what.add_argument(
        "test_ids", nargs="*", metavar="ID", help="test IDs; - reads them from standard input"
    )
    what.add_argument(
        "--group",
        action="append",
        default=[],
        dest="groups",
        metavar="NAME",
        type=naming("group"),
        help="an Endpoint Test Group block on the Prefect server; may be given several times",
    )
    what.add_argument(
        "--judge-again",
        **one("RUN"),
        help="run nothing: read the results of an earlier run, a flow run's ID or a deployment for "
        "its latest one, and make its provisional verdicts final",
    )
    how.add_argument(
        "--credentials",
        **one("NAME", "block"),
        help="a ThousandEyes Credentials block (default: the groups' own, else the environment)",
    )
    output.add_argument("-h", "--help", action="help", help="show this and exit")
    output.add_argument(
        "--all",
        dest="every",
        action=argparse.BooleanOptionalAction,
        help="show every test, not only those that need a look (default: off on a terminal)",
    )
    output.add_argument(
        "--log",
        action=argparse.BooleanOptionalAction,
        help="show Prefect's log instead of one live line (default: off on a terminal)",
    )
    output.add_argument(
        "--json",
        dest="json_file",
        **one("FILE"),
        help="write the outcomes as JSON; use - for standard output, which then carries only the "
        "JSON",
    )
    output.add_argument(
        "--junit",
        dest="junit_file",
        **one("FILE"),
        help="write them as JUnit's XML, for the viewers of CI servers",
    )


def parameters(given: Given, stdin: TextIO) -> Parameters:
    """Return the flow's parameters, checked as far as can be before Prefect is asked.

    Raises:
        InvalidTestIds: No test is named, or one that can't be, or more than Prefect takes.
        SettingsError: An option's value or the environment is wrong.
    """
    rest = dict(given.rest)
    groups, credentials = read_names(rest.pop("groups"), "--group"), rest.pop("credentials")
    test_ids = _with_stdin(given_ids := rest.pop("test_ids"), stdin)
    try:
        options = RerunOptions.model_validate(rest)
    except ValidationError as error:
        raise SettingsError("; ".join(dict.fromkeys(map(_told, mistakes(error))))) from None
    asked = Parameters(test_ids=test_ids, groups=groups, credentials=credentials, options=options)
    # IDs that come to none narrow nothing down, and would leave all that failed.
    if test_ids or not (asked.name_tests or (options.only_failed_of and not given_ids)):
        checked = select(test_ids, {}, credentials).test_ids
        asked = asked.model_copy(update={"test_ids": checked})
    if not (groups or credentials or options.only_failed_of):
        refuse_tokens(asked.test_ids, [ThousandEyesSettings().token.get_secret_value()])
    asked.check_size(get_current_settings().server.api.max_parameter_size)
    return asked


def _add(group: argparse._ArgumentGroup, name: str, field: FieldInfo) -> None:
    words = f"{field.description} (default: {_default(field.default)})"
    shared: dict[str, Any] = {"default": argparse.SUPPRESS, "help": words.replace("%", "%%")}
    kind = field.annotation
    if kind is bool:
        group.add_argument(_flag(name), action=argparse.BooleanOptionalAction, **shared)
    elif isinstance(kind, type) and issubclass(kind, StrEnum):
        group.add_argument(_flag(name), choices=[*map(str, kind)], action=Once, **shared)
    else:
        group.add_argument(_flag(name), **_VALUES[name], **shared)


def _default(value: object) -> str:
    """Return an option's default as one would give it."""
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, Thresholds):
        return ", ".join(f"{name}={_default(one)}" for name, one in value)
    if isinstance(value, list):
        return ", ".join(map(str, value))
    return "none" if value is None else str(value)


def _with_stdin(arguments: Sequence[str], stdin: TextIO) -> list[str]:
    test_ids: list[str] = []
    for number, argument in enumerate(arguments, 1):
        if argument == "-":
            test_ids += read_test_ids_text(stdin.buffer.read(), "standard input")
        else:
            test_ids += read_test_ids_text(argument, f"ID {number} of the command line")
    return test_ids


def _flag(name: str) -> str:
    return f"--{name.replace('_', '-')}"


def _told(mistake: Mistake) -> str:
    option, *within = map(str, mistake.place)
    name = f" {within[0]}" if option == "thresholds" and within else ""
    return f"{_flag(option)}{name}: {mistake.reason}"
