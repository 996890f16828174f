"""The groups of tests in `groups.yaml`: read strictly, with all mistakes reported at once."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import yaml
from pydantic import ValidationError

from tasks.blocks import EndpointTestGroup, is_block_name
from thousandeyes.mistakes import Place, Unreadable, composed, dotted, mistakes, read_yaml

FILE: Final = Path(__file__).with_name("groups.yaml")

_NULL: Final = "tag:yaml.org,2002:null"
_NAME: Final = "a group's name is small letters, digits and dashes, such as morning-checks"


class GroupsError(Exception):
    """The file has mistakes; the message has a line for each, with its line number in the file."""


def read_groups(path: Path = FILE) -> dict[str, EndpointTestGroup]:
    """Return the groups of a YAML file by name, in the file's order; none for an empty file.

    Values are taken as they are written, so that an ID keeps its leading zeros.

    Raises:
        GroupsError: The file can't be read, or has something that is not a group; none is used.
    """
    try:
        document = _Document(read_yaml(path, composed))
    except Unreadable as error:
        raise GroupsError(str(error)) from None
    groups = dict(_groups(document))
    if document.mistakes:
        lines = (f"\n  line {line}: {text}" for line, text in sorted(document.mistakes))
        raise GroupsError(f"{path} has mistakes:{''.join(lines)}")
    return groups


class _Document:
    """The content of a YAML document, the line of each place in it, and what is wrong with it."""

    def __init__(self, root: yaml.Node | None) -> None:
        self.mistakes: list[tuple[int, str]] = []
        self._lines: dict[Place, int] = {(): 1}
        self._open: list[yaml.Node] = []
        self.content = self._read(root, ()) if root else None

    def mistake(self, place: Place, text: str) -> None:
        """Note what is wrong at a place; for a missing place, at the nearest place around it."""
        written = place
        while written not in self._lines:
            written = written[:-1]
        words = f"{dotted(place)}: {text}" if place else text
        self.mistakes.append((self._lines[written], words))

    def _read(self, node: yaml.Node, place: Place) -> Any:  # noqa: ANN401 - YAML
        self._lines.setdefault(place, node.start_mark.line + 1)
        if node in self._open:
            self.mistake(place, "refers to itself")
            return None
        if isinstance(node, yaml.ScalarNode):
            # The text, not what YAML makes of it: the fields know their own types.
            return None if node.tag == _NULL else node.value
        self._open.append(node)
        try:
            if isinstance(node, yaml.SequenceNode):
                return [self._read(item, (*place, n)) for n, item in enumerate(node.value)]
            return dict(self._items(node, place))
        finally:
            self._open.pop()

    def _items(self, node: yaml.Node, place: Place) -> Iterator[tuple[str, Any]]:
        for key, value in node.value:
            if not isinstance(key, yaml.ScalarNode):
                self.mistake(place, "has a key that is not text")
                continue
            inside = (*place, key.value)
            self._lines[inside] = key.start_mark.line + 1
            yield key.value, self._read(value, inside)


def _groups(document: _Document) -> Iterator[tuple[str, EndpointTestGroup]]:
    """Yield the valid groups; note what is wrong with the others."""
    if not isinstance(document.content, dict | None):
        document.mistake((), "must be groups by name")
        return
    for name, values in (document.content or {}).items():
        if not is_block_name(name):
            document.mistake((name,), _NAME)
        if not isinstance(values, dict):
            document.mistake((name,), "a group needs test_ids")
            continue
        try:
            yield name, EndpointTestGroup.model_validate(values)
        except ValidationError as error:
            for place, reason, _ in mistakes(error):
                document.mistake((name, *place), reason)
