"""Keeps the token out of everything that is read by people.

The API, or a proxy on the way, may repeat what it was sent: in an error's text, in a header,
even in the status line, and at DEBUG the HTTP libraries log the latter two.
"""

import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from html import escape
from urllib.parse import quote

MASK = "***"

_HTTP_LOGGERS = (
    "httpx",
    "httpcore.connection",
    "httpcore.http11",
    "httpcore.http2",
    "httpcore.proxy",
    "httpcore.socks",
)


class Redactor(logging.Filter):
    """Replaces a secret in texts and log records by `***`."""

    def __init__(self, secret: str) -> None:
        super().__init__()
        # As it is, and as it stands in JSON, in a web page and in an address.
        in_json = json.dumps(secret)[1:-1]
        forms = {
            secret,
            in_json,
            in_json.replace("/", r"\/"),
            escape(secret),
            quote(secret, safe=""),
        }
        # The longest first: one form may hold another.
        self._forms = sorted(forms, key=len, reverse=True)

    def __call__(self, text: str) -> str:
        """Return the text without the secret."""
        for form in self._forms:
            text = text.replace(form, MASK)
        return text

    def filter(self, record: logging.LogRecord) -> bool:
        """Redact the record in place; it is always kept."""
        message = record.getMessage()
        clean = self(message)
        if clean != message:
            record.msg, record.args = clean, ()
        return True

    @contextmanager
    def guarding_http_logs(self) -> Iterator[None]:
        """Redact what httpx and httpcore log, for as long as the context is open."""
        loggers = [logging.getLogger(name) for name in _HTTP_LOGGERS]
        for logger in loggers:
            logger.addFilter(self)
        try:
            yield
        finally:
            for logger in loggers:
                logger.removeFilter(self)
