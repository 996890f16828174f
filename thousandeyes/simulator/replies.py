"""The bodies that the API answers with, right and wrong."""

from collections.abc import Mapping
from datetime import UTC, datetime
from http import HTTPStatus
from http.client import responses as PHRASES  # noqa: N812  a constant in all but name
from typing import Any

from pydantic import ValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.types import Receive, Scope, Send

from .dialects import in_dialect

INSTANCE = "/v7"
_DETAILS = {
    400: "The request has invalid fields.",
    403: "This token may not do that in this account group.",
    404: "The path or the ID is not known in this account group.",
    405: "This path has other methods.",
    409: "The resource has been changed by someone else.",
    415: "This path takes application/json.",
    429: "The rate limit is exhausted.",
    500: "Something broke inside.",
    503: "The API is in maintenance mode.",
}


class HalJSONResponse(JSONResponse):
    """A reply with the media type of everything that has links in the API's description."""

    media_type = "application/hal+json"


class ProblemResponse(JSONResponse):
    """An error with the API's media type (RFC 9457), in the simulator's dialect if it has one.

    A dialect drops the fields that it doesn't know, but no headers.
    """

    media_type = "application/problem+json"

    def __init__(
        self, body: dict[str, Any], status: int, headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(body, status, headers)
        self._documented = body
        self._own_headers = headers

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the reply."""
        own = in_dialect(self._documented, self.status_code, scope)
        if own is None:
            await super().__call__(scope, receive, send)
            return
        own.headers.update(self._own_headers or {})
        await own(scope, receive, send)


def iso_utc(seconds: float) -> str:
    """Return epoch seconds as the API writes dates, to the second."""
    moment = datetime.fromtimestamp(seconds, UTC)
    return moment.isoformat(timespec="seconds").replace("+00:00", "Z")


class InvalidFieldsError(Exception):
    """Some fields are invalid; becomes a 400 with one entry per field."""

    def __init__(self, errors: list[dict[str, str]]) -> None:
        super().__init__(errors)
        self.errors = errors

    @classmethod
    def of(cls, field: str, message: str) -> "InvalidFieldsError":
        """Return the error of a single field."""
        return cls([{"code": "invalid", "field": field, "message": message}])

    @classmethod
    def from_pydantic(cls, error: ValidationError) -> "InvalidFieldsError":
        """Return the same errors in the API's format, without the values that caused them."""
        return cls(
            [
                {"code": e["type"], "field": ".".join(map(str, e["loc"])), "message": e["msg"]}
                for e in error.errors(include_url=False, include_input=False)
            ]
        )


def problem(
    status: int,
    detail: str | None = None,
    *,
    headers: Mapping[str, str] | None = None,
    errors: list[dict[str, str]] | None = None,
) -> Response:
    """Return the API's general error body (OpenAPI 7.0.85, `Error`)."""
    phrase = PHRASES.get(status, "Unknown")
    body: dict[str, Any] = {
        "type": "about:blank",
        "title": phrase,
        "status": status,
        "detail": detail or _DETAILS.get(status, phrase),
        "instance": INSTANCE,
    }
    if errors is not None:
        body["errors"] = errors
    return ProblemResponse(body, status, headers=headers)


def unauthorized() -> Response:
    """Return the reply to a wrong token, which has a format of its own."""
    body = {"error": "invalid_token", "error_description": "Invalid access token"}
    return _unauthorized(body)


def without_token() -> Response:
    """Return the reply to a call without a token, again in another format (recordings of 2026)."""
    return _unauthorized({"errorMessage": "401 Not Authorized\nNo token was sent."})


def _unauthorized(body: dict[str, str]) -> Response:
    headers = {"WWW-Authenticate": "Bearer"}
    return JSONResponse(body, 401, headers, media_type=ProblemResponse.media_type)


def proxy_page(status: int) -> Response:
    """Return the answer of a proxy between client and API: HTML, whatever was asked for."""
    title = "Bad Gateway" if status == HTTPStatus.BAD_GATEWAY else "Sign in to continue"
    return HTMLResponse(f"<html><head><title>{title}</title></head></html>", status)


def for_status(status: int) -> Response:
    """Return the API's reply with this error or redirect status."""
    if status == HTTPStatus.UNAUTHORIZED:
        return unauthorized()
    if status == HTTPStatus.BAD_GATEWAY:
        return proxy_page(status)
    if status == HTTPStatus.BAD_REQUEST:
        errors = [{"code": "invalid", "field": "testId", "message": "is not an instant test"}]
        return problem(status, errors=errors)
    if status == HTTPStatus.NOT_MODIFIED:
        return Response(status_code=status)
    if status // 100 == 3:  # noqa: PLR2004  any redirect
        return Response(status_code=status, headers={"Location": "https://elsewhere.invalid/v7"})
    return problem(status)


async def on_http_exception(_: Request, error: Exception) -> Response:
    """Answer a wrong path or method, and whatever a handler refuses, with a problem body."""
    assert isinstance(error, HTTPException)  # noqa: S101  registered for nothing else
    return problem(error.status_code, headers=error.headers)


async def on_invalid_fields(_: Request, error: Exception) -> Response:
    """Answer 400 with the list of wrong fields (OpenAPI 7.0.85, `ValidationError`)."""
    assert isinstance(error, InvalidFieldsError)  # noqa: S101  registered for nothing else
    return problem(400, errors=error.errors)
