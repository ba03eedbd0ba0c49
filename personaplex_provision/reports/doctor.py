"""What the doctor found, as people read it: symptom, evidence, cause, fix."""

from __future__ import annotations

import textwrap

from personaplex_provision.doctor.prescription import as_yaml, tasks_of
from personaplex_provision.doctor.rules import Finding
from personaplex_provision.reports.numbers import counted
from personaplex_provision.reports.style import Style, clean

_EVIDENCE = 5
"Lines of evidence that are shown of one finding."


def render(findings: list[Finding], style: Style, out: str = "", width: int = 110) -> str:
    """All findings and how to go on; `out` is the playbook that the fixes were written to."""
    lines: list[str] = []
    for one in findings:
        note = one.rule.severity == "note"
        where = f"{clean(one.host)}: " if one.host else ""
        mark = style("note: ", "cyan") if note else style("✗ ", "red")
        lines.append(mark + style(where + one.rule.title, "bold"))
        lines += [style(f"    {clean(line)}", "dim") for line in one.evidence[:_EVIDENCE]]
        if len(one.evidence) > _EVIDENCE:
            lines.append(style(f"    … and {len(one.evidence) - _EVIDENCE} more", "dim"))
        for name, text in (("cause", one.rule.cause), ("fix", one.rule.fix)):
            if text:
                lines += textwrap.wrap(f"{name}: {clean(text)}", width, initial_indent="    ",
                                       subsequent_indent="      ", break_on_hyphens=False)
        if tasks_of([one]) and not out:
            lines += [f"      {line}" for line in as_yaml(tasks_of([one])).splitlines()]
        lines.append("")
    bad = [one for one in findings if one.rule.severity == "error"]
    if not bad:
        return "\n".join([*lines, style("Nothing wrong was found.", "green", "bold")]) + "\n"
    lines.append(style(f"{counted(len(bad), 'thing')} found.", "red", "bold"))
    if tasks_of(findings):
        again = f"provision apply {out}" if out else "add --out FILE, then: provision apply FILE"
        lines.append(f"The tasks can be applied: {again}")
    return "\n".join(lines) + "\n"
