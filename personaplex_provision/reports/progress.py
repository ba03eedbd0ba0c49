"""Where every host of a run stands: the state that the views draw, kept from its events."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from typing import Any

from personaplex_provision.agent.record import dataclass, field

Event = dict[str, Any]
OUTCOMES = ("ok", "changed", "failed", "blocked", "skipped")


@dataclass
class Running:
    """A task that is being carried out."""

    name: str
    since: float
    text: str = ""
    "What it said of its progress last."
    line: str = ""
    "The last line it printed."
    done: float = 0.0
    total: float = 0.0


@dataclass
class HostProgress:
    """One host."""

    name: str
    phase: str = "connecting"
    "connecting, planning, planned, applying, rolling back or ended."
    counts: dict[str, int] = field(default_factory=lambda: dict.fromkeys(OUTCOMES, 0))
    running: dict[str, Running] = field(default_factory=dict)
    "By address of the task."
    planned: int = 0
    pending: int = 0
    undone: int = 0
    unreachable: bool = False
    exit: int | None = None
    error: str = ""
    "The first thing that went wrong with the host itself."

    @property
    def bad(self) -> bool:
        """Whether something failed."""
        return self.unreachable or bool(self.counts["failed"]) or self.exit not in (None, 0, 2)


class Progress:
    """Takes every event; `hosts` may be read while `lock` is held."""

    def __init__(self) -> None:
        self.hosts: dict[str, HostProgress] = {}
        self.lock = threading.RLock()
        self.began = time.monotonic()
        self.run = ""
        self.exit: int | None = None
        self.phase = ""
        "Of the last `host_end`: plan, apply or rollback."

    def __call__(self, event: Event) -> None:
        with self.lock:
            self.run = str(event.get("run") or self.run)
            if event["type"] == "summary":
                self._summary(event)
            elif event.get("host"):
                self._host(event, self._of(str(event["host"])))

    def together(self, events: Sequence[Event]) -> None:
        """Takes events of one host about its tasks."""
        with self.lock:
            host = self._of(str(events[0]["host"]))
            for event in events:
                self._host(event, host)

    def _of(self, name: str) -> HostProgress:
        if name not in self.hosts:
            self.hosts[name] = HostProgress(name)
        return self.hosts[name]

    def _summary(self, event: Event) -> None:
        self.exit = int(event["exit"])
        for name, counts in event.get("hosts", {}).items():
            host = self._of(name)
            host.counts.update({one: int(counts.get(one, 0)) for one in OUTCOMES})
            host.unreachable = bool(counts.get("unreachable"))
            host.running.clear()

    def _host(self, event: Event, host: HostProgress) -> None:
        kind, address = event["type"], str(event.get("task", ""))
        if kind == "plan_task":
            host.phase, host.planned = "planning", host.planned + 1
            host.pending += event.get("action") != "none"
        elif kind == "task_start":
            host.phase = "applying"
            host.running[address] = Running(str(event.get("name") or address), time.monotonic())
        elif kind in ("task_progress", "task_output"):
            self._told(event, host.running.get(address))
        elif kind == "task_end":
            host.phase = "applying"
            host.running.pop(address, None)
            if event.get("outcome") in OUTCOMES:
                host.counts[str(event["outcome"])] += 1
        elif kind == "rollback_task" and "outcome" in event:
            host.phase = "rolling back"
            host.undone += event["outcome"] == "changed"
        elif kind == "diagnostic" and event.get("severity", "error") == "error":
            host.error = host.error or str(event.get("summary", ""))
        elif kind == "host_end":
            self.phase = str(event.get("phase", ""))
            host.phase = "planned" if event.get("phase") == "plan" else "ended"
            host.unreachable = bool(event.get("unreachable"))
            host.exit = int(event.get("exit", 0))
            host.running.clear()

    @staticmethod
    def _told(event: Event, task: Running | None) -> None:
        if task is None:
            return
        if event["type"] == "task_output":
            task.line = str(event.get("line", "")) or task.line
            return
        task.text = str(event.get("text") or "")
        task.done, task.total = float(event.get("done") or 0), float(event.get("total") or 0)
