"""Taking runs back on one or many hosts."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from functools import partial

from personaplex_provision.errors import DeclinedError, Diagnostic, ProvisionError, StaleError, UnreachableError
from personaplex_provision.runs.asking import chosen, each, open_host, reached
from personaplex_provision.runs.conversation import Event
from personaplex_provision.runs.hostrun import HostRun
from personaplex_provision.runs.identity import new_run, who
from personaplex_provision.runs.options import Options
from personaplex_provision.runs.outcome import worst

Report = Callable[[Event], None]


def rollback(
    options: Options, report: Report, *, run: str = "", to: str = "", plan: bool = False, force: bool = False,
    confirm: Callable[[], bool] = lambda: True, ready: Callable[[Callable[[bool], None]], None] = lambda _stop: None,
) -> int:
    """Takes back the last run, `run` and all after it, or everything since `to`; returns the exit code.

    `ready` is given, before anything is changed, what has every host finish its running step and take no other back.

    Without an inventory the hosts and the way to them are those of the controller's newest record.
    """
    mine, project, hosts = new_run(), *chosen(options, run or to)

    def tell(event: Event) -> None:
        report({"schema": 1, "ts": round(time.time(), 3), "run": mine, **event})

    def look(host: HostRun) -> None:
        _moved(host, host.rollback({**wanted, "plan": True}), force or plan)

    runs = [open_host(project, name, become, tell) for name, become in hosts.items()]
    wanted: Event = {"run": run, "to": to, "force": force}
    each(runs, lambda host: host.connect(), tell, options)
    each(reached(runs), look, tell, options)
    if not plan and any(host.outcome.exit == 0 for host in runs):
        if not confirm():
            raise DeclinedError("declined: nothing was changed")
        todo = [host for host in reached(runs) if host.outcome.exit == 0]
        message = {**wanted, "id_": mine, "lock_timeout": options.lock_timeout, "fault_at": options.fault_at,
                   "meta": {"who": who()}}
        ready(partial(_stop, todo))
        each(todo, lambda host: _finish(host, host.rollback(message)), tell, options)
    for host in runs:
        with contextlib.suppress(OSError, ProvisionError):
            host.close()
        tell({"type": "host_end", "host": host.name, "phase": "rollback", "exit": host.outcome.exit,
              **host.outcome.as_json()})
    code = worst(host.outcome.exit for host in runs)
    tell({"type": "summary", "exit": code, "hosts": {host.name: host.outcome.as_json() for host in runs}})
    return code


def _stop(hosts: list[HostRun], kill: bool = False) -> None:
    for host in hosts:
        with contextlib.suppress(UnreachableError):
            host.stop(kill)


def _moved(host: HostRun, reply: Event, force: bool) -> None:
    """Refuses before anything is touched when someone changed what is to be restored."""
    moved = reply.get("moved", reply.get("paths", []))
    host.outcome.pending = 0 if reply["type"] == "moved" else 1
    if not moved or force:
        return
    raise StaleError([
        Diagnostic(f"{host.name}: {one['path']} was changed by someone since \"{one['name']}\" (run {one['run']})",
                   _differences(one), hint="--force restores it all the same") for one in moved
    ])


def _differences(moved: Event) -> str:
    """What the run left and what is there now, a line each; of a text the difference."""
    lines = []
    for one in moved.get("changes", []):
        if one.get("text"):
            lines += [f"{one['field']}, as the run left it and as it is now:", one["text"]]
        elif one["field"]:
            lines.append(f"{one['field']} {one['left']} → {one['now']}")
    return "\n".join(lines)


def _finish(host: HostRun, reply: Event) -> None:
    if reply["type"] == "moved":
        _moved(host, reply, False)
    host.outcome.exit = 0 if reply["good"] else 9
    if reply.get("stopped"):
        host.outcome.exit = 130
