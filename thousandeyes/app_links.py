"""Where people look at a test's results in the ThousandEyes app.

Best effort: the API tells no such link for endpoint tests. This is the shape that its earlier
version told, with the account group, the test and the round in the query.
"""

import re
from typing import Final
from urllib.parse import urlencode

from thousandeyes.results import Kind

VIEW: Final = "https://app.thousandeyes.com/view/endpoint-agent"

_A_LINK: Final = re.compile(rf"{re.escape(VIEW)}\?[\w.%&=+-]{{1,500}}", re.ASCII)
_SCENARIOS: Final = {Kind.NETWORK: "eyebrowNetworkTest", Kind.HTTP_SERVER: "eyebrowHttp"}


def app_link(
    test_id: str, *, kind: Kind = Kind.NETWORK, aid: str | None = None, round_id: int | None = None
) -> str:
    """Return the link to a test's results, of one round if it is known.

    Args:
        test_id: The test.
        kind: `NETWORK` or `HTTP_SERVER`: which of its results are shown first.
        aid: Account group; the one that the person is logged in to when left out.
        round_id: The round's start in epoch seconds.
    """
    query = {
        "__a": aid,
        "scenarioId": _SCENARIOS[kind],
        "testId": test_id,
        "roundId": round_id,
    }
    return f"{VIEW}?{urlencode({name: told for name, told in query.items() if told is not None})}"


def is_app_link(text: str) -> bool:
    """Tell whether a text is such a link, and nothing that only passes for one."""
    return bool(_A_LINK.fullmatch(text))
