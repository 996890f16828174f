"""Narrows what the API lists down to what somebody looks for. Pure.

The API's lists take no filter. Whether they hold instant tests is not documented: a test that is
not listed may exist all the same.
"""

from collections.abc import Iterable
from fnmatch import fnmatchcase

from thousandeyes.models import EndpointTest
from thousandeyes.text import shown


def is_named(name: str, pattern: str) -> bool:
    """Tell whether a name, as it is shown, fits a shell pattern such as `Payroll*`, or equals it.

    The whole name counts, in any case. As a pattern alone, `[EU] Payroll` would not fit itself.
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
    """Return the tests that fit, by name.

    Args:
        tests: As listed.
        name: A shell pattern, see `is_named`.
        kind: The API's `type`, such as `agent-to-server`; any when left out.
        enabled: Only those enabled or only those not; one of which the API doesn't tell counts
            as enabled.
    """
    found = [
        test
        for test in tests
        if is_named(test.test_name, name)
        and kind in (None, test.type)
        and enabled in (None, test.is_enabled is not False)
    ]
    return sorted(found, key=lambda test: (shown(test.test_name).casefold(), test.test_id))
