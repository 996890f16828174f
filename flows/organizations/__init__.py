"""The flow `rerun-organizations`: groups of tests of several organizations, side by side."""

from flows.organizations.flow import rerun_organizations

__all__ = ["rerun_organizations"]
