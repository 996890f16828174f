"""What a run comes to, for other programs: JSON by its schema, and JUnit that parsers read."""

import json
import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from xml.etree import ElementTree as ET

import jsonschema
import junitparser
import pytest

from flows.rerun.account import Account
from flows.rerun.junit import junit
from flows.rerun.options import RerunOptions
from tests.flows.rerun.schema import SCHEMA, keeps_to_its_schema
from tests.tasks.reports import judged, network
from thousandeyes.judging import judge
from thousandeyes.outcomes import Outcome, VerdictName
from thousandeyes.record import Record
from thousandeyes.thresholds import Thresholds

BEGAN = datetime(2026, 1, 1, tzinfo=UTC)
HOSTILE = "]]>&<\"'\x00\x1b\ud800\uffff\nend"
RECORDS = [
    Record("1", "fine", Outcome.ACCEPTED, "ok", 200, 1),
    Record("2", HOSTILE, Outcome.SERVER_ERROR, HOSTILE, 503, 4, maybe_duplicate=True),
    Record("3", "", Outcome.SKIPPED, "has just run"),
    Record("4", "", Outcome.NOT_ATTEMPTED, "the run stopped"),
]


def account(status: str = "failed", exit_status: int = 1) -> Account:
    ended, seconds = BEGAN + timedelta(seconds=61.5), 61.5
    fail_on = RerunOptions().fail_on
    return Account(status, exit_status, HOSTILE, ended, seconds, RECORDS, fail_on)


def test_the_json_document_keeps_to_its_schema_and_the_schema_describes_every_field() -> None:
    document = json.loads(account().to_json())
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    keeps_to_its_schema(document)
    assert set(document) == set(SCHEMA["properties"])
    described = SCHEMA["$defs"]["test"]["properties"]
    assert all(set(test) <= set(described) for test in document["tests"])
    assert [test["fails_run"] for test in document["tests"]] == [False, True, False, True]


def test_the_json_document_tells_which_verdicts_are_provisional() -> None:
    early = judge((), Thresholds(), expected=3, complete=True, too_early=True)
    records = [*RECORDS, Record("5", "", Outcome.ACCEPTED, "ok", 200, 1, verdict=early)]
    document = json.loads(replace(account(), records=records).to_json())
    keeps_to_its_schema(document)
    assert document["provisional"] == 1
    assert [test["provisional"] for test in document["tests"]] == [None] * 4 + [True]


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


def test_both_documents_name_every_agent_that_failed() -> None:
    rows = [network(f"b41c08e0-{number:04}-4a53-9d60-000000000000", 100) for number in range(27)]
    names = ", ".join(row.agent_id for row in rows)
    told = replace(account(), records=[judged("1", *rows)])
    [test] = json.loads(told.to_json())["tests"]
    assert test["agents_failed"] == names
    assert test["why"].endswith(" and 17 more")
    [failure] = ET.fromstring(junit(told)).iter("failure")
    assert f"\nagents that failed: {names}" in str(failure.text)


def test_a_run_that_came_to_no_end_is_red_whatever_its_tests_are() -> None:
    suite = ET.fromstring(junit(Account("interrupted", 130, "interrupted", BEGAN, 0)))
    [case] = suite.iter("testcase")
    assert [child.tag for child in case] == ["error"]


# What the junit-10.xsd of Jenkins lets stand in what `junit` writes: the attributes that an element
# must and may have, and its children. Of the texts, only a suite's time keeps to a form.
COUNTS = {"tests", "failures", "errors"}
RESULT = (set[str](), {"type", "message"}, set[str]())
JENKINS = {
    "testsuites": (set[str](), {"name", "time", *COUNTS}, {"testsuite"}),
    "testsuite": (
        {"name", *COUNTS},
        {
            "time",
            "skipped",
            "timestamp",
            "hostname",
            "id",
            "package",
            "group",
            "file",
            "log",
            "url",
        },
        {"testsuite", "properties", "testcase", "system-out", "system-err"},
    ),
    "properties": (set[str](), set[str](), {"property"}),
    "property": ({"name", "value"}, set[str](), set[str]()),
    "testcase": (
        {"name"},
        {"classname", "time", "group"},
        {"skipped", "error", "failure", "system-out", "system-err"},
    ),
    "system-out": (set[str](), set[str](), set[str]()),
    "failure": RESULT,
    "error": RESULT,
    "skipped": RESULT,
}
MIXED = {"failure", "error", "skipped", "system-out"}
JUDGED = replace(
    judge((), Thresholds(), expected=None, complete=True), name=VerdictName.FAILED, reason=HOSTILE
)
FAILED = Record("5", "Payroll", Outcome.ACCEPTED, "ok", 200, 1, verdict=JUDGED)


@pytest.mark.parametrize(
    "told",
    [
        account(),
        replace(account(), records=[*RECORDS, FAILED], seconds=30 * 3600),
        Account("interrupted", 130, HOSTILE, BEGAN, 0),
    ],
    ids=["failed", "long", "interrupted"],
)
def test_junit_keeps_to_the_schema_of_jenkins_and_a_parser_reads_it_back(told: Account) -> None:
    written = junit(told)
    for element in ET.fromstring(written).iter():
        required, allowed, children = JENKINS[element.tag]
        assert required <= set(element.attrib) <= required | allowed
        assert {child.tag for child in element} <= children
        assert element.tag in MIXED or not (element.text or "").strip()
        if element.tag.startswith("testsuite"):
            assert re.fullmatch(r"\d+\.\d{3}", element.attrib["time"])

    read = junitparser.JUnitXml.fromstring(written)
    [suite] = read
    cases = list(suite)
    results = [result for case in cases for result in case.result]
    for kind, count in (
        (junitparser.Failure, suite.failures),
        (junitparser.Error, suite.errors),
        (junitparser.Skipped, suite.skipped),
    ):
        assert sum(isinstance(result, kind) for result in results) == count
    assert (len(cases), suite.time) == (suite.tests, told.seconds)
    assert read.failures == (FAILED in told.records)
