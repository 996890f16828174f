"""`python -m thousandeyes.simulator`: the simulator in the foreground, until Ctrl-C."""

import argparse
import contextlib
import os
import sys
from pathlib import Path
from typing import Any, get_args

from pydantic import ValidationError
from pydantic.fields import FieldInfo

# Shared by all commands, and independent of the API. Nothing else comes from outside this package.
from thousandeyes.ports import port_or_free
from thousandeyes.release import add_version
from thousandeyes.terminal import status_of

from .app import create_app
from .options import DEFAULT_TOKEN, Options, ScenarioError, explain, read_scenario
from .server import Server, address, listen

# The token would show in process lists, and the other options take more than a word.
_NOT_ON_THE_COMMAND_LINE = {
    *("token", "faults", "creation_faults", "agents_of"),
    *("intervals", "result_replies", "causes", "unreadable"),
}


def main(arguments: list[str] | None = None) -> int:
    """Serve until interrupted; return the exit status, 2 if the options or port can't be used."""
    parsed = vars(_parser().parse_args(arguments))
    port, scenario = parsed.pop("port"), parsed.pop("scenario")
    try:
        options = _options(scenario, parsed)
        listener = listen(port)
    except (ScenarioError, OSError) as error:
        print(f"simulator: {error}", file=sys.stderr)  # noqa: T201  a command's output
        return 2
    print(_greeting(address(listener).url, address(listener).page, options), flush=True)  # noqa: T201
    with contextlib.suppress(KeyboardInterrupt):
        Server(create_app(**dict(options))).run(sockets=[listener])
    return 0


def _options(scenario: Path | None, told: dict[str, Any]) -> Options:
    """Return the scenario's options, overridden by those of the command line."""
    options = read_scenario(scenario) if scenario else {}
    if token := os.environ.get("TE_TOKEN"):
        options["token"] = token
    try:
        return Options.model_validate(options | told)
    except ValidationError as error:
        raise ScenarioError(explain(error)) from None


def _greeting(url: str, page: str, options: Options) -> str:
    lines = [f"TE_BASE_URL={url}"]
    if options.token == DEFAULT_TOKEN:
        lines.append(f"TE_TOKEN={DEFAULT_TOKEN}")
    lines.append(f"Open {page} in a browser. Stop with Ctrl-C.")
    return "\n".join(lines)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m thousandeyes.simulator",
        description="Simulates the ThousandEyes API, for this machine only. "
        "It accepts the token in TE_TOKEN, or else a default one.",
        argument_default=argparse.SUPPRESS,
    )
    add_version(parser)
    parser.add_argument(
        "--port", type=port_or_free, default=8765, help="0 takes a free port (default: 8765)"
    )
    parser.add_argument(
        "--scenario", type=Path, default=None, metavar="FILE", help="YAML with any of the options"
    )
    for name, field in Options.model_fields.items():
        if name not in _NOT_ON_THE_COMMAND_LINE:
            _add(parser, name, field)
    return parser


def _add(parser: argparse.ArgumentParser, name: str, field: FieldInfo) -> None:
    """Add one option; the model converts and checks its value."""
    flag = f"--{name.replace('_', '-')}"
    default = field.get_default()
    text = f"{field.description} (default: {default})"
    if field.annotation is bool:
        parser.add_argument(flag, action="store_true", help=text)
    elif isinstance(default, list):
        choices = get_args(get_args(field.annotation)[0])
        parser.add_argument(flag, nargs="*", choices=choices, help=text)
    else:
        parser.add_argument(flag, metavar=type(default).__name__.upper(), help=text)


if __name__ == "__main__":
    sys.exit(status_of(main))
