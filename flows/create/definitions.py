"""The definitions that a run is given: as parameters or from a file, and never with a password."""

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Annotated, Final, Self

from prefect.blocks.system import Secret
from pydantic import (
    ConfigDict,
    Field,
    SecretStr,
    TypeAdapter,
    ValidationError,
    WrapValidator,
    field_validator,
    model_validator,
)
from pydantic.config import JsonDict

from tasks.blocks import is_block_name
from tasks.server_calls import until_taken
from thousandeyes.definitions import (
    AgentToServerTest,
    HttpServerSettings,
    HttpServerTest,
    InstantTest,
)
from thousandeyes.errors import InvalidDefinitions, SettingsError
from thousandeyes.files import read_own
from thousandeyes.mistakes import (
    NotOpened,
    Place,
    Unreadable,
    dotted,
    read_yaml,
    told,
    without_aliases,
)
from thousandeyes.text import quoted, shown


class HttpServerDefinition(HttpServerSettings):
    """An HTTP test as a run is given it: Prefect keeps parameters in clear."""

    model_config = ConfigDict(title="One HTTP test")

    password_block: str | None = Field(
        default=None,
        description=(
            "Name of the Prefect Secret block that holds the password; it begins with "
            "thousandeyes-. basic and ntlm need it."
        ),
    )

    @field_validator("password_block")
    @classmethod
    def _none_if_blank(cls, name: str | None) -> str | None:
        return name if name and name.strip() else None

    @model_validator(mode="after")
    def _check_login(self) -> Self:
        self.check_login(self.password_block, "password_block")
        return self


Definition = Annotated[AgentToServerTest | HttpServerDefinition, Field(discriminator="type")]
# Everybody who may see a run can read its parameters.
_WITHOUT_PASSWORDS: Final[JsonDict] = {"not": {"pattern": r"password[\"']?\s*:"}}
_List = Annotated[list[Definition], Field(title="List")]

Definitions = Annotated[
    Annotated[str, Field(title="YAML", json_schema_extra=_WITHOUT_PASSWORDS)]
    | AgentToServerTest
    | HttpServerDefinition
    | _List,
    # What the form's tabs send. `as_definitions` checks it: Prefect would repeat what is wrong.
    WrapValidator(lambda given, _check: given),
]
"""Definitions of tests as a form takes them: a text in YAML, one test field by field, or a list."""

_MOST: Final = 2_000
"""Definitions of a run, which creates some 24 a minute."""

_DEFINITIONS: TypeAdapter[list[Definition]] = TypeAdapter(list[Definition])


_KEYS: Final = frozenset(
    key
    for model in (AgentToServerTest, HttpServerTest, HttpServerDefinition)
    for name, field in model.model_fields.items()
    for key in (name, field.alias)
    if key
)


def read_definitions(path: Path, read: Callable[[Path, int], bytes] = read_own) -> list[Definition]:
    """Return the definitions of a YAML file, which holds a list of them.

    Args:
        path: The file.
        read: Reads up to that many bytes of it.

    Raises:
        InvalidDefinitions: It can't be read, or holds something that can't be a definition; names
            each.
    """
    try:
        written = read_yaml(path, without_aliases, read)
    except NotOpened as error:
        raise InvalidDefinitions(
            f"{error}. A run on a worker reads files on that machine, in the folder that "
            "TE_FILES_DIR names. Nothing was sent."
        ) from None
    except Unreadable as error:
        raise InvalidDefinitions(f"{error}. Nothing was sent.") from None
    # What may be said of a file: it may not be a file of definitions at all.
    return _checked(written, str(path), _KEYS)


def as_definitions(given: Definitions) -> list[Definition]:
    """Return what a run was given as a list.

    Raises:
        InvalidDefinitions: It is a text that is not YAML, or holds something that can't be a
            definition; names the line or field, and repeats no value.
    """
    written: object = given
    if isinstance(given, str):
        try:
            written = read_yaml(Path("tests"), without_aliases, lambda _path, _most: given.encode())
        except Unreadable as error:
            raise InvalidDefinitions(f"{error}. Nothing was sent.") from None
    return _checked(
        [written] if isinstance(written, dict | InstantTest) else written or [], "tests"
    )


def _checked(written: object, where: str, keys: Collection[str] | None = None) -> list[Definition]:
    try:
        return _DEFINITIONS.validate_python(written)
    except ValidationError as error:
        words = told(error, keys, partial(_test_and_field, written))
        raise InvalidDefinitions(f"{where}: {words}. Nothing was sent.") from None


def _test_and_field(written: object, place: Place) -> str:
    """Return a place such as `test 2 'Intranet', url`: people count from 1."""
    number, *within = place
    if not (isinstance(number, int) and isinstance(written, Sequence)):
        return dotted(place)
    one = written[number]
    name = (one.get("test_name") or one.get("testName")) if isinstance(one, Mapping) else None
    test = f"test {number + 1}" + (f" {quoted([name])}" if isinstance(name, str) else "")
    return ", ".join(filter(None, (test, dotted(tuple(within[1:])))))  # after the type


def check_names(definitions: Iterable[Definition], create_again: Iterable[str]) -> None:
    """Check that there are definitions, not too many, with different names, and all names known.

    Names are compared as they are shown.

    Args:
        definitions: What a run is given.
        create_again: Names that it refers to.

    Raises:
        InvalidDefinitions: It is not so.
    """
    counted = Counter(shown(definition.test_name) for definition in definitions)
    if not counted:
        raise InvalidDefinitions("no definitions given: give tests, a file, or both.")
    if (count := counted.total()) > _MOST:
        raise InvalidDefinitions(
            f"{count:,} definitions given, and one run takes {_MOST:,}: split them into several "
            "runs. Nothing was sent."
        )
    if twice := [name for name, count in counted.items() if count > 1]:
        raise InvalidDefinitions(
            f"more than one definition has the name {quoted(twice)}: a group identifies "
            "its tests by name. Nothing was sent."
        )
    if strange := [name for name in create_again if shown(name) not in counted]:
        raise InvalidDefinitions(
            f"create_again: no definition has the name {quoted(strange)}. Nothing was sent."
        )


async def with_password(definition: Definition, prefix: str) -> InstantTest:
    """Return what is sent: the password is looked up now, and stays in this process.

    Args:
        definition: What the run was given.
        prefix: What the names of blocks with passwords begin with. Whoever may start runs may not
            send any other secret of the server to an address of his own.

    Raises:
        SettingsError: There is no such Secret block, or it may not be used, or it does not hold a
            text.
    """
    if isinstance(definition, AgentToServerTest):
        return definition
    fields = definition.model_dump(exclude={"password_block"})
    if name := definition.password_block:
        if not name.startswith(prefix):
            # The name is not repeated: it may be the password itself.
            raise SettingsError(
                f"the definition of {quoted([definition.test_name])} names a Secret block, and "
                f"only those whose names begin with {prefix!r} hold passwords of tests: see "
                "TE_PASSWORD_BLOCK_PREFIX. Nothing was sent."
            )
        fields["password"] = await _password(name, definition.test_name)
    return HttpServerTest.model_validate(fields)


async def _password(block: str, test_name: str) -> SecretStr:
    value = None
    if is_block_name(block):  # Prefect makes it part of an address
        # There is none, or it can't be read: that error would show what is in it.
        with suppress(ValueError, RuntimeError):
            secret: Secret[str] = await until_taken(partial(Secret.aload, block))
            value = secret.value.get_secret_value()
    if not isinstance(value, str):
        raise SettingsError(
            f"there is no Secret block named {quoted([block])} with a text in it, and the "
            f"definition of {quoted([test_name])} needs it. Nothing was sent."
        )
    return SecretStr(value)
