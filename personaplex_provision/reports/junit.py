"""Checks as JUnit XML, the form that build servers read: one suite a host, one case a check."""

from __future__ import annotations

import re
import xml.etree.ElementTree as xml

from personaplex_provision.reports.verification import Checked, Verification

_NOT_XML = re.compile(r"[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def document(found: Verification, name: str) -> str:
    """The document; `name` is that of the whole, such as the playbook. A host that said nothing is an error."""
    root = xml.Element("testsuites", name=_clean(name))
    for host, problem in found.hosts.items():
        mine = sorted((one for one in found.checks if one.host == host), key=lambda one: one.number)
        failed = sum(one.verdict == "fails" and not one.ignored for one in mine)
        skipped = sum(one.verdict in ("skipped", "by hand") for one in mine)
        lost = bool(problem) and not mine
        suite = xml.SubElement(
            root, "testsuite", name=_clean(host), tests=str(len(mine) + lost), failures=str(failed),
            errors=str(int(lost)), skipped=str(skipped),
            time=f"{sum(one.seconds for one in mine):.3f}",
        )
        if lost:
            case = xml.SubElement(suite, "testcase", name="the host answers", classname=_clean(name))
            xml.SubElement(case, "error", message=_clean(problem))
        for one in mine:
            _case(suite, one, name)
    xml.indent(root)
    return '<?xml version="1.0" encoding="utf-8"?>\n' + xml.tostring(root, encoding="unicode") + "\n"


def _case(suite: xml.Element, one: Checked, name: str) -> None:
    case = xml.SubElement(
        suite, "testcase", name=_clean(one.name), classname=_clean(one.role or name), time=f"{one.seconds:.3f}",
    )
    if one.verdict == "fails" and not one.ignored:
        text = "\n".join(part for part in (one.detail, f"fix: {one.hint}" if one.hint else "", one.position) if part)
        xml.SubElement(case, "failure", message=_clean(one.reason)).text = _clean(text)
    elif one.verdict != "holds":
        by_hand = "needs a person: " if one.verdict == "by hand" else ""
        xml.SubElement(case, "skipped", message=_clean(f"{by_hand}{one.reason}"))


def _clean(text: str) -> str:
    return _NOT_XML.sub("", text)
