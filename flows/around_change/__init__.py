"""The flow `rerun-around-change`: measure before and after a change, and report the difference."""

from flows.around_change.flow import rerun_around_change
from flows.around_change.options import AroundChangeOptions

__all__ = ["AroundChangeOptions", "rerun_around_change"]
