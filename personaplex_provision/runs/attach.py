"""Coming to a run that somebody else began: watching it, and confirming it."""

from __future__ import annotations

import contextlib
import time

from personaplex_provision.errors import Diagnostic, ProvisionError
from personaplex_provision.runs.asking import Report, chosen, each, open_host, reached
from personaplex_provision.runs.conversation import Event
from personaplex_provision.runs.hostrun import HostRun
from personaplex_provision.runs.options import Options
from personaplex_provision.runs.outcome import worst
from personaplex_provision.runs.standing import ENDS


def attach(options: Options, report: Report, run: str) -> int:
    """Shows a run (the newest, without one) on its hosts until it has ended there; returns its exit code."""
    project, hosts = chosen(options, run)
    mine = {"run": run}

    def tell(event: Event) -> None:
        report({"schema": 1, "ts": round(time.time(), 3), **mine, **event})

    def follow(host: HostRun) -> None:
        tell({"type": "host_start", "host": host.name, "address": host.connection.host or host.name,
              "connection": host.connection.kind})
        host.connect()
        found = host.watch(run)
        mine["run"] = found["run"]
        if found["outcome"] == "unfinished":
            one = Diagnostic(f"{host.name}: the run {found['run']} was killed there",
                             hint=f"finish it: provision resume {found['run']}; take it back: provision rollback")
            tell({"type": "diagnostic", "host": host.name, **one.as_json()})
        host.outcome.exit = ENDS.get(found["outcome"], 4)

    runs = [open_host(project, name, become, tell) for name, become in hosts.items()]
    each(runs, follow, tell, options)
    return _ended(runs, tell, "apply")


def confirm(options: Options, tell: Report, run: str, found: dict[str, bool]) -> int:
    """Confirms a run on its hosts; `found` says by host whether one waited there."""
    project, hosts = chosen(options, run)
    runs = [open_host(project, name, become, tell) for name, become in hosts.items()]

    def one(host: HostRun) -> None:
        found[host.name] = host.confirm(run)

    each(runs, one, tell, options)
    if not any(found.values()):
        for host in reached(runs):
            host.outcome.exit = 7
    return worst(host.outcome.exit for host in runs)


def _ended(runs: list[HostRun], tell: Report, phase: str) -> int:
    for host in runs:
        with contextlib.suppress(OSError, ProvisionError):
            host.close()
        tell({"type": "host_end", "host": host.name, "phase": phase, "exit": host.outcome.exit,
              **host.outcome.as_json()})
    code = worst(host.outcome.exit for host in runs)
    tell({"type": "summary", "exit": code, "hosts": {host.name: host.outcome.as_json() for host in runs}})
    return code
