"""The schema that users of --json hold their documents to."""

import json
from pathlib import Path
from typing import Any, Final

import jsonschema

from flows.rerun import account

SCHEMA: Final[dict[str, Any]] = json.loads(
    Path(account.__file__).with_name("account.schema.json").read_text()
)


def keeps_to_its_schema(document: Any) -> None:
    """Raises jsonschema.ValidationError if `document` is not what --json promises."""
    jsonschema.validate(document, SCHEMA)
