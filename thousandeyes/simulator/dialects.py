"""How replies of the live API differ from its description. Each difference is an option.

Source: recordings of the live v7 API of 2026, for resources other than endpoint tests. It is likely
but not known that these behave in the same way.
"""

from collections.abc import Collection, Mapping
from typing import Any, Literal

from starlette.responses import JSONResponse, Response
from starlette.types import Scope

Dialect = Literal[
    "errors_without_fields",
    "message_in_title",
    "timestamped_errors",
    "empty_not_found",
    "empty_as_json",
    "numeric_aid",
    "date_without_zone",
    "deleted_agents",
    "rows_without_test_id",
    "location_over_http",
]
"""One way to differ.

- `errors_without_fields`: an error has only title, status and detail;
- `message_in_title`: the title says what is wrong, in two lines, and `instance` is the path;
- `timestamped_errors`: an error is `application/json`, with `timestamp`, `error` and `path`;
- `empty_not_found`: a 404 has no body;
- `empty_as_json`: a filter that finds nothing is answered with plain `application/json`;
- `numeric_aid`: account groups are numbers;
- `date_without_zone`: the first agent's last contact has no time zone;
- `deleted_agents`: every fifth agent is deleted, and listed although nobody asked for deleted ones;
- `rows_without_test_id`: rows of a query for one test don't repeat its ID;
- `location_over_http`: a `Location` begins with `http://` and names the port.

The first three exclude each other: if more are given, the first in this list counts.
"""

_TIMESTAMP = "2026-07-14T09:26:53.589+00:00"


def dialects_of(scope: Scope) -> Collection[Dialect]:
    """Return the dialects in which a call is answered; there are none outside the API itself."""
    spoken: Collection[Dialect] = scope.get("state", {}).get("dialects", ())
    return spoken


def in_dialect(documented: Mapping[str, Any], status: int, scope: Scope) -> Response | None:
    """Return an error as the dialects of a call have it; None if it is as documented."""
    spoken, path = dialects_of(scope), scope["path"]
    if status == 404 and "empty_not_found" in spoken:  # noqa: PLR2004  as its name says
        return Response(status_code=status)
    title, detail = documented["title"], documented["detail"]
    wrong = [f"{error['field']} {error['message']}" for error in documented.get("errors", ())]
    body = {"title": title, "status": status, "detail": "; ".join(wrong) or detail}
    media_type = "application/problem+json"
    if "errors_without_fields" in spoken:
        pass
    elif "message_in_title" in spoken:
        body = {"title": f"{title}:\n{body['detail']}", "status": status, "instance": path}
    elif "timestamped_errors" in spoken:
        body |= {"timestamp": _TIMESTAMP, "error": title, "path": path}
        media_type = "application/json"
    else:
        return None
    return JSONResponse(body, status, media_type=media_type)
