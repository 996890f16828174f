"""The flow `rerun-endpoint-tests`: run a list of endpoint instant tests again.

Beside it stands `judge-run-again`, which reads the results of such a run later.
`python -m flows.rerun --help` tells how to run both from the command line.
"""

from flows.rerun.flow import RerunFailed, rerun_endpoint_tests
from flows.rerun.judge_again import judge_run_again
from flows.rerun.options import RerunOptions

__all__ = ["RerunFailed", "RerunOptions", "judge_run_again", "rerun_endpoint_tests"]
