"""Streams of events as runs make them, for the reports."""

from __future__ import annotations

from typing import Any

Event = dict[str, Any]
RUN = "20261122T181500123-3fa9"


def event(type_: str, host: str = "", /, **fields: Any) -> Event:
    """An event with what every event has."""
    found: Event = {"schema": 1, "ts": 1795373491.5, "run": RUN, "type": type_}
    if host:
        found["host"] = host
    return {**found, **fields}


def planned(host: str, name: str, kind: str, action: str, **fields: Any) -> Event:
    """A `plan_task`."""
    return event("plan_task", host, task=name, name=name, kind=kind, action=action,
                 **{"reversible": "exact", **fields})


def plan(host: str, address: str = "") -> list[Event]:
    """The plan of one host with one task of every sort."""
    return [
        event("host_start", host, address=address or host, connection="ssh"),
        planned(host, "Install packages", "apt", "none"),
        planned(host, "Make the folder", "file", "create", diff=[
            {"field": "state", "before": "absent", "after": "directory"},
            {"field": "mode", "before": None, "after": "0755"},
        ]),
        planned(host, "Write the settings", "template", "update", diff=[
            {"field": "mode", "before": "0644", "after": "0600"},
            {"field": "content", "before": "sha256:1", "after": "sha256:2"},
        ], preview="@@ -1,2 +1,2 @@\n name: moshi\n-port: 80\n+port: 8998"),
        planned(host, "Remove the old unit", "file", "delete", reversible="best-effort",
                diff=[{"field": "state", "before": "file", "after": "absent"}]),
        planned(host, "Build", "shell", "run", reversible="irreversible",
                diff=[{"field": "cmd", "before": None, "after": "cargo build --release"}]),
        planned(host, "Start if built", "systemd_service", "unknown", reason="known after Build"),
        planned(host, "Use the token", "lineinfile", "update",
                diff=[{"field": "line", "before": None, "after": "(secret hf_token)"}]),
        planned(host, "Only on WSL", "command", "none", skipped=True, reason="when: is_wsl is false"),
        event("host_end", host, phase="plan", exit=0, unreachable=False, pending=5, unknown=1, classes={}),
    ]


def unreachable(host: str) -> list[Event]:
    """A host that does not answer."""
    return [
        event("host_start", host, address=host, connection="ssh"),
        event("diagnostic", host, severity="error", summary=f"{host}: no answer within 10 seconds",
              hint="is it switched on?"),
        event("host_end", host, phase="plan", exit=5, unreachable=True),
    ]


def applied(host: str) -> list[Event]:
    """What applying the plan of `plan` tells, ending with a failure."""
    return [
        event("task_start", host, task="Make the folder", name="Make the folder", kind="file"),
        ended(host, "Make the folder", "changed", 0.0, kind="file", diff=[
            {"field": "mode", "before": None, "after": "0755"}]),
        event("task_start", host, task="Build", name="Build", kind="shell"),
        event("task_output", host, task="Build", line="   \x1b[1mCompiling\x1b[0m moshi v0.6"),
        event("task_progress", host, task="Build", text="crates", done=3, total=10),
        ended(host, "Build", "failed", 62.4, kind="shell", diagnostic={
            "severity": "error", "summary": "sh exited with 101", "detail": "error: could not compile `moshi`",
            "hint": "the compiler's output is above"}),
        ended(host, "Start if built", "blocked", 0.0, kind="systemd_service", reason="Build did not succeed"),
        ended(host, "Only on WSL", "skipped", 0.0, kind="command", reason="when: is_wsl is false"),
        event("host_end", host, phase="apply", exit=4, unreachable=False, ok=0, changed=1, failed=1, blocked=1,
              skipped=1),
    ]


def ended(host: str, name: str, outcome: str, seconds: float = 0.0, **fields: Any) -> Event:
    """A `task_end`."""
    return event("task_end", host, task=name, name=name, outcome=outcome, seconds=seconds, **fields)


def summary(code: int, **hosts: Event) -> Event:
    """The last event."""
    blank = {"ok": 0, "changed": 0, "failed": 0, "blocked": 0, "skipped": 0, "unreachable": False}
    return event("summary", exit=code, hosts={name: {**blank, **counts} for name, counts in hosts.items()})
