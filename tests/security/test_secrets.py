"""A secret that the API repeats reaches nobody, wherever it stands; and costs no time."""

import base64
import json
import logging
import time
from urllib.parse import quote

import pytest

from tests.security.hostile_api import TOKEN, client_of, replies
from tests.thousandeyes.wire import wire
from thousandeyes.definitions import HttpServerTest
from thousandeyes.errors import CallFailed, ReplyLost, ThousandEyesError
from thousandeyes.outcomes import Outcome
from thousandeyes.record import Record
from thousandeyes.replies import Reply, created_test_id
from thousandeyes.text import shown

OTHER = "99887766-5544-3322-1100-aabbccddeeff"
PASSWORD = "c0rrect-horse-battery"
CREATED = "/v7/endpoint/tests/scheduled-tests/http-server/"

ECHOES = {
    "plain": TOKEN,
    "in capitals": TOKEN.upper(),
    "in base64": base64.b64encode(f"Bearer {TOKEN}".encode()).decode(),
    "cut at its end": f"{TOKEN[:20]}…",
    "cut at its beginning": f"…{TOKEN[9:]}",
    "cut in base64": base64.b64encode(TOKEN.encode()).decode()[:30] + "...",
    "of the other organization": OTHER,
    **{
        f"with {ord(unseen):#x} between": unseen.join(TOKEN)
        for unseen in "\u00ad\u180e\u200b\u200e\u2060\ufeff\ufe0f\U000e0041"
    },
}


def told_parts(text: str) -> list[str]:
    """Return what a text tells of the two tokens, twelve letters at a time."""
    whole = [TOKEN, OTHER, *(base64.b64encode(one.encode()).decode() for one in (TOKEN, OTHER))]
    parts = [one[i : i + 12] for one in whole for i in range(len(one) - 12)]
    return [part for part in parts if part.lower() in text.lower()]


def with_password(password: str) -> HttpServerTest:
    fields = {"url": "https://a.example", "username": "ada", "password": password}
    return HttpServerTest.model_validate({"test_name": "x", "auth_type": "basic"} | fields)


@pytest.mark.parametrize("echo", ECHOES.values(), ids=ECHOES)
async def test_a_token_is_masked_in_errors_records_listings_and_logs(
    echo: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    header = f"x-echo: {quote(echo)}"
    refusal = replies(json.dumps({"detail": echo}).encode(), header, status=f"400 {quote(echo)}")
    name = {"testId": "1", "testName": f"of {echo}"}
    listing = replies(json.dumps({"tests": [name]}).encode(), header)
    record = Record("1")
    async with wire(refusal, listing) as server:
        async with client_of(server, OTHER):
            pass
        async with client_of(server) as client:
            with pytest.raises(CallFailed) as error:
                await client.rerun(record)
            [test] = await client.tests()
    told = [str(error.value), repr(error.value), repr(record), test.test_name, caplog.text]
    assert not told_parts(shown("\n".join(told)))
    assert "***" in record.detail
    assert test.test_name.startswith("of ")


@pytest.mark.parametrize("secret", [TOKEN, TOKEN.upper(), OTHER, PASSWORD, PASSWORD[:12]])
@pytest.mark.parametrize("where", ["location", "body"])
async def test_a_secret_in_place_of_an_id_is_no_id(secret: str, where: str) -> None:
    body = b"{}" if where == "location" else json.dumps({"testId": secret}).encode()
    header = f"location: {CREATED}{secret if where == 'location' else ''}"
    record = Record("")
    async with wire(replies(body, header, status="201 Created")) as server:
        async with client_of(server, OTHER):
            pass
        async with client_of(server) as client:
            with pytest.raises(ReplyLost):
                await client.create(with_password(PASSWORD), record)
    assert (record.outcome, record.test_id) == (Outcome.UNKNOWN, "")
    assert secret not in repr(record)


@pytest.mark.parametrize("password", ["1", "t", "test", "testId", "agent-to-server"])
async def test_a_password_that_is_a_part_of_a_reply_does_not_garble_it(password: str) -> None:
    body = json.dumps({"testId": "765231567", "type": "agent-to-server", "aid": 11})
    record = Record("")
    async with wire(replies(body.encode(), status="201 Created")) as server:
        async with client_of(server) as client:
            assert await client.create(with_password(password), record) == "765231567"
    assert record.outcome is Outcome.ACCEPTED


@pytest.mark.parametrize(
    ("password", "told"),
    [
        ("1", "400: 11 tests, and the password '***' is 1 letter long"),
        ("pass1", "400: 11 tests, and the password '***' is 1 letter long"),
    ],
)
async def test_a_short_password_is_masked_where_it_is_told(password: str, told: str) -> None:
    said = f"11 tests, and the password '{password}' is 1 letter long"
    answer = replies(json.dumps({"detail": said}).encode(), status="400 Bad Request")
    async with wire(answer) as server, client_of(server) as client:
        with pytest.raises(ThousandEyesError) as error:
            await client.create(with_password(password), Record(""))
    assert str(error.value) == told


@pytest.mark.parametrize("piece", ["/endpoint/tests/", "/endpoint/tests/a1/", "a1", "/", "%2F"])
def test_no_location_takes_time_that_grows_faster_than_it(piece: str) -> None:
    location = piece * (1_000_000 // len(piece)) + "!"
    began = time.process_time()
    with pytest.raises(ReplyLost):
        created_test_id(Reply(201, {"location": location}, "{}", 0.0))
    # Less than a second of CPU; what grows with the square would take ten minutes.
    assert time.process_time() - began < 60
