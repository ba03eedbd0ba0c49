"""What a plan said, gathered from its events: per host, and in total."""

from __future__ import annotations

import json
import threading
from collections import Counter
from collections.abc import Sequence
from typing import Any

from personaplex_provision.agent.record import dataclass, field

Event = dict[str, Any]
ACTIONS = ("create", "update", "delete", "run", "unknown")
"What a task can be planned to do, in the order of the totals; `none` is not a change."


_PASSING = frozenset({"schema", "ts", "run", "type", "host", "seconds"})
"What an event has that its entry does not need."


_READ = ("task", "name", "kind", "action", "reversible", "diff", "preview", "reason", "problem", "skipped", "verify")
"What of an entry is read by people."


@dataclass
class HostPlanned:
    """The plan of one host."""

    name: str
    address: str = ""
    entries: list[Event] = field(default_factory=list)
    "Its `plan_task` events in order."
    exit: int = 0
    unreachable: bool = False
    space: list[Event] = field(default_factory=list)
    "What the plan takes of each file system: `mount`, and in bytes `needed`, `images`, `free`; `open`: and more."

    def pending(self) -> list[Event]:
        """The entries that will, or may, change something."""
        return [one for one in self.entries if one["action"] != "none"]

    def signature(self, written: dict[int, str]) -> tuple[object, ...]:
        """Equal for hosts whose plans read the same; `written` holds what was written of an entry, by its identity."""
        for one in self.entries:
            if id(one) not in written:
                written[id(one)] = json.dumps([one.get(name) for name in _READ], sort_keys=True, default=str)
        space = tuple((one["mount"], one["needed"], one["images"]) for one in self.space)
        return (tuple(written[id(one)] for one in self.entries), self.exit, self.unreachable, space)


@dataclass
class Totals:
    """Counts over all hosts."""

    actions: Counter[str] = field(default_factory=Counter)
    classes: Counter[str] = field(default_factory=Counter)
    same: int = 0
    skipped: int = 0
    hosts: int = 0
    "Hosts with something to do."
    unreachable: int = 0

    @property
    def changes(self) -> int:
        """Steps that will change something."""
        return sum(self.actions[one] for one in ACTIONS if one != "unknown")

    @property
    def undecided(self) -> int:
        """Steps that are decided while applying."""
        return self.actions["unknown"]

    @property
    def irreversible(self) -> int:
        """Steps that cannot be taken back."""
        return self.classes["irreversible"]


class Planned:
    """A report that keeps what plans say; called from the threads of many hosts."""

    def __init__(self) -> None:
        self.hosts: dict[str, HostPlanned] = {}
        self._lock = threading.Lock()
        self._known: dict[str, Event] = {}

    def __call__(self, event: Event) -> None:
        name = event.get("host")
        if not name or event["type"] not in ("host_start", "plan_task", "host_end"):
            return
        with self._lock:
            host = self._of(str(name))
            if event["type"] == "host_start":
                host.address = str(event.get("address", ""))
            elif event["type"] == "plan_task":
                host.entries.append(self._kept(event))
            elif event.get("phase") == "plan":
                host.exit, host.unreachable = int(event.get("exit", 0)), bool(event.get("unreachable"))
                host.space = list(event.get("space", []))

    def together(self, events: Sequence[Event]) -> None:
        """Takes events of one host."""
        found = [event for event in events if event["type"] == "plan_task"]
        if found:
            with self._lock:
                self._of(str(found[0]["host"])).entries += map(self._kept, found)

    def _of(self, name: str) -> HostPlanned:
        if name not in self.hosts:
            self.hosts[name] = HostPlanned(name)
        return self.hosts[name]

    def _kept(self, event: Event) -> Event:
        """What is kept of an entry; the same object for hosts of which the same is said."""
        plain = {name: value for name, value in event.items() if name not in _PASSING}
        known = self._known.get(event["task"])
        if known != plain:
            known = self._known[event["task"]] = plain
        return known

    def groups(self) -> list[list[HostPlanned]]:
        """Hosts whose plans are the same, together, in the order of the first of them."""
        found: dict[tuple[object, ...], list[HostPlanned]] = {}
        written: dict[int, str] = {}
        for host in self.hosts.values():
            found.setdefault(host.signature(written), []).append(host)
        return list(found.values())

    def totals(self) -> Totals:
        """The counts over all hosts."""
        found = Totals()
        for host in self.hosts.values():
            found.unreachable += host.unreachable
            found.hosts += bool(host.pending())
            for entry in host.entries:
                action = entry["action"]
                if action == "none":
                    found.skipped += bool(entry.get("skipped"))
                    found.same += not entry.get("skipped") and not entry.get("verify")
                    continue
                found.actions[action] += 1
                found.classes[str(entry.get("reversible", "unknown"))] += 1
        return found
