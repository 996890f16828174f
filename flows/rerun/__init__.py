"""The flow `rerun-endpoint-tests`: run a list of endpoint instant tests again.

Besides it there is `judge-run-again`, which reads the results of such a run later.
`python -m flows.rerun --help` shows how to run both from the command line.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from flows.rerun.flow import RerunFailed, rerun_endpoint_tests
    from flows.rerun.judge_again import judge_run_again
    from flows.rerun.options import RerunOptions

__all__ = ["RerunFailed", "RerunOptions", "judge_run_again", "rerun_endpoint_tests"]

_MODULES: Final = {
    "RerunFailed": "flow",
    "RerunOptions": "options",
    "judge_run_again": "judge_again",
    "rerun_endpoint_tests": "flow",
}


def __getattr__(name: str) -> Any:  # noqa: ANN401 - whatever has the name
    """Import what is asked for, and Prefect with it: the command has work to do before that."""
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
