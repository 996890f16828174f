"""The command line's arguments: what they are, and how they are read."""

import argparse
from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Any, Final

from pydantic.fields import FieldInfo

from flows.rerun.given import NEVER, Given
from flows.rerun.options import RerunOptions
from thousandeyes.arguments import Once, Together, flag, listing, naming, one
from thousandeyes.errors import SettingsError
from thousandeyes.release import add_version
from thousandeyes.thresholds import Thresholds

_WHAT, _HOW, _RESULTS, _OUTPUT = "what to run", "how to run it", "results", "output"
_GROUPS: Final[dict[str, tuple[str, ...]]] = {
    _WHAT: ("test_ids_file", "name_pattern", "only_failed_of", "skip_if_run_within_minutes"),
    _HOW: (),  # and all that no other group names
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

_IN_FORMS: Final = {
    "with an empty list": f"with the word {NEVER}",
    "Empty:": "Without it:",
    " on the worker": "",
}
"""What an option's description says to people who fill in a form, and what it says here."""


def _fail_on(text: str) -> list[str]:
    return [] if text.strip() == NEVER else listing(f"ending, nor the word {NEVER}")(text)


def _thresholds(text: str) -> list[tuple[str, str]]:
    pairs = (part.partition("=") for part in listing("threshold")(text))
    return [(name.strip(), value.strip()) for name, _, value in pairs]


_NUMBER: Final[dict[str, Any]] = {"metavar": "N", "action": Once}
_MINUTES: Final[dict[str, Any]] = {"metavar": "M", "action": Once}
_VALUES: Final[dict[str, dict[str, Any]]] = {
    "fail_on": {"metavar": f"ENDING,…|{NEVER}", "type": _fail_on, "action": "extend"},
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
        help="show every test, not only those that need a look (default: off on a terminal, else "
        "on)",
    )
    output.add_argument(
        "--log",
        action=argparse.BooleanOptionalAction,
        help="show Prefect's log; without it, only its warnings, and on a terminal one live "
        "line (default: off on a terminal, else on)",
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
        help="write them as JUnit XML, for CI servers",
    )


def _add(group: argparse._ArgumentGroup, name: str, field: FieldInfo) -> None:
    words = f"{_described(field)} (default: {_default(field.default)})"
    shared: dict[str, Any] = {"default": argparse.SUPPRESS, "help": words.replace("%", "%%")}
    kind = field.annotation
    if kind is bool:
        group.add_argument(flag(name), action=argparse.BooleanOptionalAction, **shared)
    elif isinstance(kind, type) and issubclass(kind, StrEnum):
        group.add_argument(flag(name), choices=[*map(str, kind)], action=Once, **shared)
    else:
        group.add_argument(flag(name), **_VALUES[name], **shared)


def _described(field: FieldInfo) -> str:
    words, _, _ = str(field.description).partition(" In rerun-organizations:")
    for form, here in _IN_FORMS.items():
        words = words.replace(form, here)
    return words


def _default(value: object) -> str:
    """Return an option's default as one would give it."""
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, Thresholds):
        return ", ".join(f"{name}={_default(one)}" for name, one in value)
    if isinstance(value, list):
        return ", ".join(map(str, value))
    return "none" if value is None else str(value)
