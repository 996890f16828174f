"""What a run comes to, for other programs: JSON by its schema, and JUnit that parsers read."""

import json
from datetime import UTC, datetime, timedelta
from xml.etree import ElementTree as ET

import jsonschema

from flows.rerun.account import SCHEMA, Account
from flows.rerun.junit import junit
from flows.rerun.options import RerunOptions
from thousandeyes.outcomes import Outcome
from thousandeyes.record import Record

BEGAN = datetime(2026, 1, 1, tzinfo=UTC)
HOSTILE = "]]>&<\"'\x00\x1b\ud800\uffff\nend"
RECORDS = [
    Record("1", "fine", Outcome.ACCEPTED, "ok", 200, 1),
    Record("2", HOSTILE, Outcome.SERVER_ERROR, HOSTILE, 503, 4, maybe_duplicate=True),
    Record("3", "", Outcome.SKIPPED, "has just run"),
    Record("4", "", Outcome.NOT_ATTEMPTED, "the run stopped"),
]


def account(status: str = "failed", exit_status: int = 1) -> Account:
    ended = BEGAN + timedelta(seconds=61.5)
    fail_on = RerunOptions().fail_on
    return Account(status, exit_status, HOSTILE, BEGAN, ended, RECORDS, fail_on)


def test_the_json_document_keeps_to_its_schema_and_the_schema_describes_every_field() -> None:
    schema = json.loads(SCHEMA.read_text())
    document = json.loads(account().to_json())
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.validate(document, schema)
    assert set(document) == set(schema["properties"])
    described = schema["$defs"]["test"]["properties"]
    assert all(set(test) <= set(described) for test in document["tests"])
    assert [test["fails_run"] for test in document["tests"]] == [False, True, False, True]


def test_junit_counts_what_it_holds_and_any_text_comes_through_as_far_as_xml_can_hold_it() -> None:
    suites = ET.fromstring(junit(account()))
    [suite] = suites.iter("testsuite")
    assert [[child.tag for child in case] for case in suite.iter("testcase")] == [
        ["system-out"],
        ["error"],
        ["skipped"],
        ["error"],
    ]
    counts = [suite.get(name) for name in ("tests", "failures", "errors", "skipped")]
    assert counts == ["4", "0", "2", "1"]
    name = suite.findall("testcase")[1].get("name")
    assert name == "]]>&<\"'" + "\ufffd" * 4 + "\nend (2)"


def test_a_run_that_came_to_no_end_is_red_whatever_its_tests_are() -> None:
    suite = ET.fromstring(junit(Account("interrupted", 130, "interrupted", BEGAN, BEGAN)))
    [case] = suite.iter("testcase")
    assert [child.tag for child in case] == ["error"]
