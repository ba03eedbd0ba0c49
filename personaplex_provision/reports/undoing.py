"""What a rollback would do, as people read it."""

from __future__ import annotations

import threading
from typing import Any

from personaplex_provision.reports import difference
from personaplex_provision.reports.numbers import counted
from personaplex_provision.reports.plan import MARGIN, PREVIEW
from personaplex_provision.reports.style import Style, clean, one_line

Event = dict[str, Any]


class Undoing:
    """A report that keeps the steps a rollback announces (`rollback_task` with an `action`)."""

    def __init__(self) -> None:
        self.hosts: dict[str, list[Event]] = {}
        self._lock = threading.Lock()

    def __call__(self, event: Event) -> None:
        if event["type"] == "rollback_task" and "action" in event and "outcome" not in event:
            with self._lock:
                self.hosts.setdefault(str(event.get("host", "")), []).append(event)

    def possible(self) -> int:
        """Steps that will be taken back."""
        return sum(one["action"] != "none" for steps in self.hosts.values() for one in steps)

    def impossible(self) -> int:
        """Steps that cannot be."""
        return sum(one["action"] == "none" for steps in self.hosts.values() for one in steps)

    def question(self) -> str:
        """What the rollback would do, in one line."""
        text = f"{self.possible()} to take back on {counted(len(self.hosts), 'host')}"
        return f"{text}, {self.impossible()} cannot be" if self.impossible() else text


def render(undoing: Undoing, style: Style, verbosity: int = 0) -> str:
    """The steps of every host, newest first, with their differences."""
    lines = []
    for host, steps in undoing.hosts.items() if verbosity >= 0 else ():
        lines.append(style(f"host {clean(host)}", "bold"))
        for step in steps:
            lines += _step(step, style, verbosity)
        lines.append("")
    if not undoing.hosts:
        return "Nothing to take back.\n"
    return "\n".join([*lines, f"{style('Rollback:', 'bold')} {undoing.question()}."]) + "\n"


def _step(step: Event, style: Style, verbosity: int) -> list[str]:
    name = one_line(step.get("name") or step.get("task") or "")
    undone = f" (run {step['undoes']})" if step.get("undoes") and verbosity > 0 else ""
    if step["action"] == "none":
        reason = one_line(step.get("reason") or "it cannot be taken back")
        return [f"  {style('!', 'red', 'bold')} {clean(step.get('kind', ''))}  {name}{undone}: {reason}"]
    lines = [f"  {style('↶', 'yellow')} {clean(step.get('kind', ''))}  {name}{undone}"]
    lines += difference.fields({**step, "action": "update"}, style, MARGIN)
    if step.get("preview"):
        lines += difference.text(str(step["preview"]), style, MARGIN, 0 if verbosity > 0 else PREVIEW)
    return lines
