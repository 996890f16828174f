"""What a run comes to as JUnit XML: the run as a suite, each test as a case.

No standard defines it. This is what the viewers of Jenkins, GitLab and GitHub have in common; it
follows the schema of Jenkins: `junit-10.xsd` of its xUnit plugin.
"""

import re
from typing import Final
from xml.etree import ElementTree as ET

from flows.rerun.account import Account
from flows.rerun.parameters import FLOW
from thousandeyes.outcomes import Outcome, VerdictName
from thousandeyes.record import Record

_NOT_IN_XML: Final = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""What XML 1.0 can't hold in any form: https://www.w3.org/TR/xml/#charsets."""
_OWN_ENDS: Final = ("passed", "failed")
_CLASS: Final = "thousandeyes.endpoint-tests"


def junit(account: Account) -> bytes:
    """Return a run as an XML document.

    A test for which the run fails is a `failure` if laptops measured it, and else an `error`: it
    is not known whether it is well. A test that was left out, or had no turn and fails no run, is
    `skipped`. A run that did not finish has an `error` as a case of its own too, so that it is red
    whatever its tests are.
    """
    cases = [_case(account, record) for record in account.records]
    if account.status not in _OWN_ENDS:
        cases.append(_run_itself(account))
    counted = {
        "tests": str(len(cases)),
        "failures": str(_having("failure", cases)),
        "errors": str(_having("error", cases)),
    }
    seconds = f"{account.seconds:.3f}"
    suites = ET.Element("testsuites", {"name": FLOW, **counted, "time": seconds})
    suite = ET.SubElement(
        suites,
        "testsuite",
        {
            "name": _fit(f"{FLOW} {account.flow_run.name}" if account.flow_run else FLOW),
            **counted,
            "skipped": str(_having("skipped", cases)),
            "time": seconds,
            "timestamp": f"{account.began:%Y-%m-%dT%H:%M:%S}",
        },
    )
    properties = ET.SubElement(suite, "properties")
    for name, value in _properties(account).items():
        ET.SubElement(properties, "property", {"name": name, "value": _fit(value)})
    suite.extend(cases)
    said: bytes = ET.tostring(suites, encoding="utf-8", xml_declaration=True)
    return said + b"\n"


def _properties(account: Account) -> dict[str, str]:
    run = account.flow_run
    told = {
        "status": account.status,
        "sentence": account.sentence,
        "in_common": account.in_common,
        "flow_run": str(run.id) if run else "",
        "report": account.url or "",
    }
    return {name: value for name, value in told.items() if value}


def _case(account: Account, record: Record) -> ET.Element:
    name = f"{record.test_name} ({record.test_id})" if record.test_name else record.test_id
    case = ET.Element(
        "testcase", {"classname": _CLASS, "name": _fit(name), "time": f"{record.seconds:.3f}"}
    )
    said = "\n".join(_lines(record))
    if kind := _kind(account, record):
        message = _fit(f"{record.ending}: {record.why}" if record.why else str(record.ending))
        found = ET.SubElement(case, kind, {"type": str(record.ending), "message": message})
        found.text = None if kind == "skipped" else _fit(said)
    else:
        ET.SubElement(case, "system-out").text = _fit(said)
    return case


def _kind(account: Account, record: Record) -> str | None:
    """Return the element that says how a test ended; None if nothing is wrong."""
    if account.fails_for(record):
        return "failure" if record.ending in list(VerdictName) else "error"
    if record.outcome in (Outcome.SKIPPED, Outcome.NOT_ATTEMPTED):
        return "skipped"
    return None


def _lines(record: Record) -> list[str]:
    lines = [f"{record.ending}: {record.reason}" if record.reason else str(record.ending)]
    if record.verdict and record.laptops:
        lines.append(f"agents that failed: {record.verdict.agents_failed}")
    lines += [f"attempts: {record.attempts}"] if record.attempts > 1 else []
    lines += ["it may have run twice"] if record.maybe_duplicate else []
    lines += [record.paths] if record.paths else []
    lines += [f"results: {record.app_link}"] if record.app_link else []
    return lines


def _run_itself(account: Account) -> ET.Element:
    case = ET.Element("testcase", {"classname": FLOW, "name": "the run itself", "time": "0.000"})
    told = {"type": account.status, "message": _fit(account.sentence)}
    ET.SubElement(case, "error", told).text = _fit(f"{account.status}: {account.sentence}")
    return case


def _having(kind: str, cases: list[ET.Element]) -> int:
    return sum(case.find(kind) is not None for case in cases)


def _fit(text: str) -> str:
    return _NOT_IN_XML.sub("\ufffd", text)
