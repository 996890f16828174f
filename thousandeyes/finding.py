"""Filters what the API lists. Pure.

The API's lists take no filter. Whether they include instant tests is not documented: a test that is
not listed may still exist.
"""

from collections.abc import Iterable
from fnmatch import fnmatchcase

from thousandeyes.models import EndpointTest
from thousandeyes.text import shown


def is_named(name: str, pattern: str) -> bool:
    """Tell whether a name as it is shown matches, or equals, a shell pattern such as `Payroll*`.

    The whole name has to match; case is ignored. Equality counts because `[EU] Payroll`, taken as a
    pattern, does not match itself.
    """
    name, pattern = shown(name).casefold(), shown(pattern).casefold()
    return name == pattern or fnmatchcase(name, pattern)


def matching(
    tests: Iterable[EndpointTest],
    *,
    name: str = "*",
    kind: str | None = None,
    enabled: bool | None = None,
) -> list[EndpointTest]:
    """Return the tests that match, sorted by name.

    Args:
        tests: The tests to choose from.
        name: A shell pattern, see `is_named`.
        kind: The API's `type`, such as `agent-to-server`; by default any.
        enabled: True for enabled tests only, False for disabled tests only. A test counts as
            enabled if the API doesn't say.
    """
    found = [
        test
        for test in tests
        if is_named(test.test_name, name)
        and kind in (None, test.type)
        and enabled in (None, test.is_enabled is not False)
    ]
    return sorted(found, key=lambda test: (shown(test.test_name).casefold(), test.test_id))
