"""The flow `create-endpoint-tests`: create the tests that a group doesn't have yet, each once."""

from flows.create.definitions import Definition
from flows.create.flow import CreationFailed, create_endpoint_tests
from flows.create.options import CreateOptions

__all__ = ["CreateOptions", "CreationFailed", "Definition", "create_endpoint_tests"]
