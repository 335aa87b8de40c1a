"""Verdicts as JUnit XML, which continuous integration shows: a suite for each trace, a case for each device.

A device that diverged is a failure with its first root in full; one that failed by an exception, and nothing else, is
an error; one that was not judged is skipped. A case's properties are its counts. Nothing depends on when it was made.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final
from xml.etree import ElementTree as Xml

from ..printable import printable
from ..verdict import DeviceVerdict, Verdict
from .combined import Outcome
from .text import root_lines, sentence
from .wording import number

COUNTS: Final = (
    "exits", "reads", "writes", "matched", "masked", "learned", "assumed", "diverged", "roots", "consequences",
    "unmodelled", "delivered", "excluded",
)  # fmt: skip


def render(outcomes: Sequence[Outcome]) -> str:
    """The document, ending with a newline. A trace without a verdict is a suite with one case, which is an error."""
    suites = Xml.Element("testsuites", name="vmdev")
    for outcome in outcomes:
        verdict = outcome.verdict
        suites.append(_suite(verdict) if verdict is not None else _trouble(printable(outcome.trace), outcome.trouble))
    for count in ("tests", "failures", "errors", "skipped"):
        suites.set(count, str(sum(int(suite.get(count, "0")) for suite in suites)))
    Xml.indent(suites)
    return Xml.tostring(suites, encoding="unicode", xml_declaration=True) + "\n"


def _suite(verdict: Verdict) -> Xml.Element:
    name = printable(verdict.trace.name or verdict.trace.machine)
    suite = Xml.Element("testsuite", name=name)
    cases = [_case(name, device, verdict) for device in verdict.devices]
    if verdict.stale:
        entries = ", ".join(f"{use.device}.{use.register}" for use in verdict.stale)
        cases.append(_failed(name, "known divergences", "stale", f"nothing diverges any more in {entries}"))
    if verdict.unanswered:
        cases.append(_failed(name, "strict", "unanswered", f"{number(verdict.unanswered, 'read')} unanswered"))
    if verdict.qemu_is_odd and verdict.against:
        rows = [row for row in verdict.against.witnesses or () if row.odd not in ("model", "recording")]
        registers = ", ".join(dict.fromkeys(f"{row.device}.{row.register}" for row in rows))
        cases.append(_failed(name, "QEMU", "witness", f"QEMU does not answer as recorded in {registers}"))
    suite.set("tests", str(len(cases)))
    for count, tag in (("failures", "failure"), ("errors", "error"), ("skipped", "skipped")):
        suite.set(count, str(sum(case.find(tag) is not None for case in cases)))
    suite.set("time", "0")
    properties = Xml.SubElement(suite, "properties")
    totals = verdict.totals
    for key, value in (
        ("machine", verdict.machine),
        ("target", verdict.trace.target),
        ("closed", int(verdict.trace.closed)),
        ("exits", totals.exits),
        ("checked", totals.checked),
        ("unclaimed_reads", totals.unclaimed_reads),
        ("unclaimed_writes", totals.unclaimed_writes),
    ):
        Xml.SubElement(properties, "property", name=key, value=printable(str(value)))
    suite.extend(cases)
    Xml.SubElement(suite, "system-out").text = printable(sentence(verdict))
    return suite


def _trouble(name: str, trouble: str) -> Xml.Element:
    suite = Xml.Element("testsuite", name=name, tests="1", failures="0", errors="1", skipped="0", time="0")
    case = Xml.SubElement(suite, "testcase", classname=name, name="replay", time="0")
    Xml.SubElement(case, "error", type="trouble", message=printable(trouble))
    return suite


def _failed(suite: str, name: str, kind: str, message: str) -> Xml.Element:
    case = Xml.Element("testcase", classname=suite, name=name, time="0")
    Xml.SubElement(case, "failure", type=kind, message=printable(message))
    return case


def _case(suite: str, device: DeviceVerdict, verdict: Verdict) -> Xml.Element:
    case = Xml.Element("testcase", classname=suite, name=printable(device.name), time="0")
    properties = Xml.SubElement(case, "properties")
    for count in COUNTS:
        Xml.SubElement(properties, "property", name=count, value=str(getattr(device.tally, count)))
    if device.excluded:
        Xml.SubElement(case, "skipped", message="not judged")
        return case
    roots = [root for root in verdict.roots if root.device == device.name]
    if roots:
        first = roots[0]
        message = (
            f"{len(roots)} root divergence{'s'[: len(roots) > 1]}, the first in {first.subject} at exit {first.seq:,}"
        )
        is_fault = all(root.cause == "fault" for root in roots)
        what = first.cause if is_fault else first.cause_class
        body = Xml.SubElement(case, "error" if is_fault else "failure", type=what, message=printable(message))
        body.text = "\n".join(printable(line) for line in root_lines(first, verdict))
    return case
