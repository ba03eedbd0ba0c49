"""What checks said, gathered from their events and told: a tick, a cross with its reason, or "needs a person"."""

from __future__ import annotations

import threading
from collections import Counter
from typing import Any

from personaplex_provision.agent.record import dataclass
from personaplex_provision.reports.numbers import counted
from personaplex_provision.reports.style import Style, clean, one_line

Event = dict[str, Any]
_BY_HAND = "needs a person: "
_MARKS = {"holds": ("✓", "green"), "fails": ("✗", "red"), "by hand": ("☐", "cyan"), "skipped": ("-", "dim")}
MILESTONES = {
    "milestone1": "Milestone 1: environment ready",
    "milestone2": "Milestone 2: PersonaPlex installed",
    "milestone3": "Milestone 3: offline testing complete",
    "milestone4": "Milestone 4: real-time testing complete",
    "milestone5": "Milestone 5: full validation",
    "success_minimum": "Success criteria: minimum viable success",
    "success_full": "Success criteria: full success",
}
"Tags of checks -> the headings of the deployment plan that they answer for."


@dataclass(frozen=True)
class Checked:
    """How one check ended. `verdict` is `holds`, `fails`, `by hand` or `skipped`."""

    host: str
    task: str
    name: str
    kind: str
    verdict: str
    seconds: float
    tags: tuple[str, ...] = ()
    role: str = ""
    position: str = ""
    reason: str = ""
    "Why it fails or was skipped, or what the person is to do."
    detail: str = ""
    hint: str = ""
    ignored: bool = False
    number: int = 0
    "Its place in the playbook."


class Verification:
    """A report that keeps what checks said; called from the threads of many hosts."""

    def __init__(self) -> None:
        self.checks: list[Checked] = []
        self.hosts: dict[str, str] = {}
        "Host -> why it said nothing, if so."
        self._lock = threading.Lock()

    def __call__(self, event: Event) -> None:
        host = str(event.get("host") or "")
        with self._lock:
            if event["type"] == "host_start":
                self.hosts[host] = ""
            elif event["type"] == "diagnostic" and host in self.hosts and event.get("severity", "error") == "error":
                self.hosts[host] = self.hosts[host] or str(event.get("summary", ""))
            elif event["type"] == "task_end" and event.get("verify"):
                self.checks.append(_checked(event, host))

    def counts(self) -> Counter[str]:
        """How many checks ended with each verdict; a failure that is ignored fails nothing."""
        return Counter("ignored" if one.ignored else one.verdict for one in self.checks)


def _checked(event: Event, host: str) -> Checked:
    outcome, reason = str(event["outcome"]), str(event.get("reason") or "")
    told = event.get("diagnostic") or {}
    verdict = "fails" if outcome == "failed" else "skipped" if outcome in ("skipped", "blocked") else "holds"
    if reason.startswith(_BY_HAND):
        verdict, reason = "by hand", reason.removeprefix(_BY_HAND)
    return Checked(
        host, str(event["task"]), str(event.get("name") or event["task"]), str(event.get("kind", "")), verdict,
        float(event.get("seconds") or 0), tuple(event.get("tags", ())), str(event.get("role", "")),
        str(event.get("position", "")), str(told.get("summary", "")) or reason, str(told.get("detail", "")),
        str(told.get("hint", "")), bool(event.get("ignored")),
        int(event.get("number", 0)),
    )


def render(found: Verification, style: Style, verbosity: int = 0, milestones: bool = False) -> str:
    """All checks by host, or with `milestones` by the plan's milestones; and how many hold."""
    lines: list[str] = []
    for host, problem in found.hosts.items():
        mine = sorted((one for one in found.checks if one.host == host), key=lambda one: one.number)
        lines.append(style(f"host {clean(host)}", "bold"))
        if problem and not mine:
            lines.append(f"  {style('nothing checked', 'red')}: {one_line(problem)}")
        elif milestones:
            lines += _milestones(mine, style)
        else:
            shown = [one for one in mine if verbosity >= 0 or one.verdict == "fails"]
            lines += [line for one in shown for line in _lines(one, style)]
            if not mine:
                lines.append("  no check")
        lines.append("")
    lines.append(_totals(found, style))
    return "\n".join(lines) + "\n"


def _milestones(checks: list[Checked], style: Style) -> list[str]:
    lines = []
    for tag, title in MILESTONES.items():
        mine = [one for one in checks if tag in one.tags]
        verdicts = {one.verdict for one in mine if not one.ignored}
        state = "fails" if "fails" in verdicts else "by hand" if "by hand" in verdicts else \
            "holds" if "holds" in verdicts else "skipped"
        mark, colour = _MARKS[state]
        lines.append(f"{style(mark, colour)} {style(title, 'bold')}" + ("" if mine else ": no check"))
        lines += [line for one in mine for line in _lines(one, style)]
    return lines


def _lines(one: Checked, style: Style) -> list[str]:
    mark, colour = _MARKS[one.verdict]
    tail = f": {one_line(one.reason, 200)}" if one.reason else ""
    if one.verdict == "by hand":
        tail = f": needs a person: {one_line(one.reason, 400)}"
    elif one.verdict == "skipped":
        tail = f": skipped{tail}"
    lines = [f"  {style(mark, colour)} {one_line(one.name)}{tail}{' (ignored)' if one.ignored else ''}"]
    if one.verdict == "fails":
        lines += [f"      {clean(line)}" for line in one.detail.splitlines()]
        lines += [f"      fix: {one_line(one.hint, 400)}"] if one.hint else []
        lines += [style(f"      at {clean(one.position)}", "dim")] if one.position else []
    return lines


def _totals(found: Verification, style: Style) -> str:
    counts = found.counts()
    words = [f"{counts['holds']} hold{'s' * (counts['holds'] == 1)}"]
    words += [style(f"{counts['fails']} fail{'s' * (counts['fails'] == 1)}", "red", "bold")] if counts["fails"] else []
    for name, text in (("ignored", "failed and ignored"), ("by hand", "need a person"), ("skipped", "skipped")):
        words += [f"{counts[name]} {text}"] if counts[name] else []
    head = style("Verified:", "bold", "red" if counts["fails"] else "green")
    return f"{head} {', '.join(words)}; {counted(len(found.checks), 'check')} on {counted(len(found.hosts), 'host')}."
