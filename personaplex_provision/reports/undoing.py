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
        return sum(one["action"] == "undo" for steps in self.hosts.values() for one in steps)

    def impossible(self) -> int:
        """Steps that cannot be."""
        return sum(one["action"] == "none" for steps in self.hosts.values() for one in steps)

    def refused(self) -> int:
        """Steps of which someone else changed what they had changed."""
        return sum(one["action"] == "refused" for steps in self.hosts.values() for one in steps)

    def question(self) -> str:
        """What the rollback would do, in one line."""
        text = f"{self.possible()} to take back on {counted(len(self.hosts), 'host')}"
        text += f", {self.impossible()} cannot be" if self.impossible() else ""
        return f"{text}, {self.refused()} refused: someone changed it since" if self.refused() else text


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
    refused = step.get("refused") or []
    sign = style("✗", "red", "bold") if refused else style("↶", "yellow")
    lines = [f"  {sign} {clean(step.get('kind', ''))}  {name}{undone}"]
    lines += difference.fields({**step, "action": "update"}, style, MARGIN)
    most = 0 if verbosity > 0 else PREVIEW
    if step.get("preview"):
        lines += difference.text(str(step["preview"]), style, MARGIN, most)
    for one in refused:
        lines.append(f"{MARGIN}{style('changed by someone since:', 'red')} {_moved(one)}")
        lines += difference.text(str(one["text"]), style, MARGIN, most) if one.get("text") else []
    for one in step.get("overridden") or []:
        lines.append(f"{MARGIN}{style('is lost, as someone changed it since:', 'red')} {_moved(one)}")
        lines += difference.text(str(one["text"]), style, MARGIN, most) if one.get("text") else []
    for one in step.get("stays") or []:
        lines.append(f"{MARGIN}{style('stays as it is now:', 'cyan')} {_moved(one)}")
    lines += [f"{MARGIN}{style(clean(one), 'cyan')}" for one in step.get("notes") or []]
    return lines


def _moved(one: Event) -> str:
    """A difference between what the run left and what is there now."""
    what = " ".join(clean(part) for part in (one["path"], one["field"]) if part)
    return f"{what}, {difference.value(one['left'])} → {difference.value(one['now'])}"
