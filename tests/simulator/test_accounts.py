from collections.abc import Callable

import httpx
from starlette.applications import Starlette

Make = Callable[..., Starlette]
Connect = Callable[[Starlette], httpx.AsyncClient]


async def test_the_tokens_account_group_is_the_only_one(make: Make, connect: Connect) -> None:
    reply = await connect(make(aid="77")).get("/account-groups")
    (group,) = reply.json()["accountGroups"]
    assert group["aid"] == "77"
    assert group["isCurrentAccountGroup"]
