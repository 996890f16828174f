"""Keeps the token, and a test's password, out of everything that is read by people.

The API, or a proxy on the way, may repeat what it was sent: in an error's text, in a header,
even in the status line, and at DEBUG the HTTP libraries log the latter two.
"""

import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager
from html.entities import codepoint2name

MASK = "***"
_NEVER = "(?!)"

_LAST_OF_ASCII = 0x7F

_HTTP_LOGGERS = (
    "httpx",
    "httpcore.connection",
    "httpcore.http11",
    "httpcore.http2",
    "httpcore.proxy",
    "httpcore.socks",
)


class Redactor(logging.Filter):
    """Replaces secrets in texts and log records by `***`; an empty one is none."""

    def __init__(self, *secrets: str) -> None:
        super().__init__()
        forms = ["".join(map(_any_form, secret)) for secret in secrets if secret]
        self._secret = re.compile("|".join(forms) or _NEVER)

    def __call__(self, text: str) -> str:
        """Return the text without the secret."""
        return self._secret.sub(MASK, text)

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


def _any_form(character: str) -> str:
    r"""Return a pattern for a character as it is and as JSON, web pages and addresses write it.

    Any of them may escape any character, so that a list of whole forms would never be complete.
    Each alternative begins with a character of its own, which lets the search skip plain text.
    """
    code = ord(character)
    if code > _LAST_OF_ASCII:
        return _any_form_beyond_ascii(character)
    name = codepoint2name.get(code, "#x27")
    plain = re.escape(character)
    forms = [
        rf"%(?:25)*(?i:{code:02x})",
        rf"&(?:amp;)*(?:{name};|#0*+{code};|(?i:#x0*+{code:x};))",
        rf"\\\\{{0,7}}(?:(?i:u00{code:02x}|x{code:02x}))?"
        if character == "\\"
        else rf"{plain}|\\\\{{0,7}}+(?:(?i:u00{code:02x}|x{code:02x})|{plain})",
    ]
    return f"(?:{'|'.join(forms)})"


def _any_form_beyond_ascii(character: str) -> str:
    code = ord(character)
    name = codepoint2name.get(code, f"#{code}")
    units = character.encode("utf-16-be").hex()
    octets = [f"{octet:02x}" for octet in character.encode()]
    slashes = r"\\{1,8}+"
    forms = [
        re.escape(character),
        "".join(rf"%(?:25)*(?i:{octet})" for octet in octets),
        rf"&(?:amp;)*(?:{name};|#0*+{code};|(?i:#x0*+{code:x};))",
        "".join(rf"{slashes}(?i:u{units[i : i + 4]})" for i in range(0, len(units), 4)),
        "".join(rf"{slashes}(?i:x{octet})" for octet in octets),
        rf"{slashes}(?i:x{code:02x}|u{code:04x}|u{code:08x})",
    ]
    return f"(?:{'|'.join(forms)})"
