"""Where the time of a run went: gathered from its events and hosts, one value at the end."""

from __future__ import annotations

import resource
import time
from collections.abc import Mapping
from typing import Any

from personaplex_provision.planning.order import critical_path
from personaplex_provision.runs.hostrun import HostRun

SLOWEST = 10
"Tasks that are named."


class Profile:
    """Takes every event of a run."""

    def __init__(self) -> None:
        self.began = time.monotonic()
        self._tasks: dict[tuple[str, str, str], float] = {}
        self._converged: dict[str, dict[str, float]] = {}

    def __call__(self, event: Mapping[str, Any]) -> None:
        """Counts what a task took; `plan_task` says how long it was looked at, `task_end` how long it ran."""
        phase = {"plan_task": "observe", "task_end": "converge"}.get(str(event["type"]))
        seconds = float(event.get("seconds") or 0)
        if phase is None or not seconds:
            return
        key = phase, str(event.get("name") or event["task"]), str(event.get("kind", ""))
        self._tasks[key] = self._tasks.get(key, 0.0) + seconds
        if phase == "converge":
            self._converged.setdefault(str(event["host"]), {})[str(event["task"])] = seconds

    def event(self, hosts: Mapping[str, HostRun]) -> dict[str, Any]:
        """The diagnostic that says it all."""
        found = self.as_json(hosts)
        summary = f"{found['seconds']:.2f} s, {found['cpu']:.2f} s of this machine's processors"
        return {"type": "diagnostic", "severity": "info", "summary": summary, "profile": found}

    def as_json(self, hosts: Mapping[str, HostRun]) -> dict[str, Any]:
        """Seconds of phases and tasks (summed over hosts), the critical path of the slowest host, cpu and memory.

        `cpu` (seconds) and `memory` (bytes, peak) are the controller's own, without child processes.
        """
        phases: dict[str, float] = {}
        slowest: dict[str, float] = {}
        for host in hosts.values():
            for phase, seconds in host.spent.items():
                phases[phase] = phases.get(phase, 0.0) + seconds
                slowest[phase] = max(slowest.get(phase, 0.0), seconds)
        slow = sorted(self._tasks.items(), key=lambda one: -one[1])[:SLOWEST]
        usage = resource.getrusage(resource.RUSAGE_SELF)
        found: dict[str, Any] = {
            "seconds": round(time.monotonic() - self.began, 4), "hosts": len(hosts),
            "cpu": round(usage.ru_utime + usage.ru_stime, 4), "memory": usage.ru_maxrss * 1024,
            "phases": {name: {"sum": round(phases[name], 4), "slowest": round(slowest[name], 4)} for name in phases},
            "tasks": [{"phase": phase, "name": name, "kind": kind, "seconds": round(seconds, 4)}
                      for (phase, name, kind), seconds in slow],
        }
        paths = [path for name, host in hosts.items() if (path := self._path(name, host))]
        if paths:
            found["critical_path"] = max(paths, key=lambda one: float(one["wall"]))
        return found

    def _path(self, name: str, host: HostRun) -> dict[str, Any] | None:
        """The chain of steps that decided how long a host took, and what running more of them at once could save."""
        seconds = self._converged.get(name)
        if not seconds or not host.parts:
            return None
        chain: list[dict[str, Any]] = []
        length = 0.0
        for part in host.parts:
            weights = {address: seconds.get(address, 0.0) for address in part.graph.tasks}
            path, more = critical_path(part.graph, weights)
            length += more
            chain += [{"name": part.graph.tasks[one].name or one, "seconds": round(weights[one], 4)}
                      for one in path if weights[one] > 0]
        wall = host.spent.get("converge", 0.0)
        return {
            "host": name, "wall": round(wall, 4), "path": round(length, 4), "sum": round(sum(seconds.values()), 4),
            "could_save": round(max(wall - length, 0.0), 4), "chain": chain,
        }
