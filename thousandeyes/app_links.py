"""Links to a test's results in the ThousandEyes app.

Best effort: the API gives no such link for endpoint tests. These links have the form that its
earlier version gave, with the account group, the test and the round in the query.
"""

import re
from typing import Final
from urllib.parse import urlencode

from thousandeyes.results import Kind
from thousandeyes.settings import APP_ADDRESS, APP_URL

VIEW: Final = "/view/endpoint-agent"

_A_LINK: Final = re.compile(
    rf"{APP_ADDRESS.pattern}{re.escape(VIEW)}\?[\w.%&=+-]{{1,500}}", re.ASCII
)
_SCENARIOS: Final = {Kind.NETWORK: "eyebrowNetworkTest", Kind.HTTP_SERVER: "eyebrowHttp"}


def app_link(
    test_id: str,
    *,
    app: str = APP_URL,
    kind: Kind = Kind.NETWORK,
    aid: str | None = None,
    round_id: int | None = None,
) -> str:
    """Return the link to a test's results, to those of one round if it is known.

    Args:
        test_id: The test.
        app: The app's address, which ends with its host. Each region has its own.
        kind: Which results are shown first, `NETWORK` or `HTTP_SERVER`.
        aid: Account group; by default the one that the person is logged in to.
        round_id: The round's start in epoch seconds.
    """
    query = {
        "__a": aid,
        "scenarioId": _SCENARIOS[kind],
        "testId": test_id,
        "roundId": round_id,
    }
    told = {name: value for name, value in query.items() if value is not None}
    return f"{app}{VIEW}?{urlencode(told)}"


def is_app_link(text: str) -> bool:
    """Tell whether a text has the form of such a link, and holds nothing that Markdown interprets.

    Any host will do, because an operator may set the app's. No text from the API becomes a host.
    """
    return bool(_A_LINK.fullmatch(text))
