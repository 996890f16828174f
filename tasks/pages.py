"""The whole of a list that the Prefect server gives in pages, without saying if there are more."""

from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

PAGE: Final = 200
"""How many the server returns at most."""
Item = TypeVar("Item")


async def all_of(read: Callable[..., Awaitable[list[Item]]]) -> list[Item]:
    """Return everything that a read of Prefect's client finds.

    Args:
        read: The read, which takes `limit` and `offset`.
    """
    found: list[Item] = []
    while page := await read(limit=PAGE, offset=len(found)):
        found += page
        if len(page) < PAGE:
            break
    return found
