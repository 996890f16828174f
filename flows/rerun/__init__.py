"""The flow `rerun-endpoint-tests`: run a list of endpoint instant tests again.

`python -m flows.rerun --help` tells how to run it from the command line.
"""

from flows.rerun.flow import RerunFailed, rerun_endpoint_tests
from flows.rerun.options import RerunOptions

__all__ = ["RerunFailed", "RerunOptions", "rerun_endpoint_tests"]
