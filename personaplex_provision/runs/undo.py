"""Taking runs back on one or many hosts, and what else only needs a connection: history and facts."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from personaplex_provision.errors import (
    DeclinedError,
    Diagnostic,
    ProvisionError,
    StaleError,
    UnreachableError,
    UsageError,
)
from personaplex_provision.runs import records
from personaplex_provision.runs.conversation import AgentError, Event
from personaplex_provision.runs.hostrun import HostRun
from personaplex_provision.runs.identity import new_run, who
from personaplex_provision.runs.options import Options
from personaplex_provision.runs.outcome import worst
from personaplex_provision.runs.project import Project, open_project

Report = Callable[[Event], None]


def rollback(
    options: Options, report: Report, *, run: str = "", to: str = "", plan: bool = False, force: bool = False,
    confirm: Callable[[], bool] = lambda: True,
) -> int:
    """Takes back the last run, `run` and all after it, or everything since `to`; returns the exit code.

    Without an inventory the hosts and the way to them are those of the controller's newest record.
    """
    mine, project, hosts = new_run(), *_hosts(options, run or to)

    def tell(event: Event) -> None:
        report({"schema": 1, "ts": round(time.time(), 3), "run": mine, **event})

    def look(host: HostRun) -> None:
        _moved(host, host.rollback({**wanted, "plan": True}), force or plan)

    runs = [_host(project, name, become, tell) for name, become in hosts.items()]
    wanted: Event = {"run": run, "to": to}
    _each(runs, lambda host: host.connect(), tell, options)
    _each(_alive(runs), look, tell, options)
    if not plan and any(host.outcome.exit == 0 for host in runs):
        if not confirm():
            raise DeclinedError("declined: nothing was changed")
        for host in _alive(runs):
            if host.outcome.exit == 0:
                message = {**wanted, "id_": mine, "force": force, "lock_timeout": options.lock_timeout,
                           "meta": {"who": who()}}
                _each([host], lambda one, m=message: _finish(one, one.rollback(m)), tell, options)  # type: ignore[misc]
    for host in runs:
        with contextlib.suppress(OSError, ProvisionError):
            host.close()
        tell({"type": "host_end", "host": host.name, "phase": "rollback", "exit": host.outcome.exit,
              **host.outcome.as_json()})
    code = worst(host.outcome.exit for host in runs)
    tell({"type": "summary", "exit": code, "hosts": {host.name: host.outcome.as_json() for host in runs}})
    return code


def recorded(options: Options, run: str = "") -> dict[str, list[Event]]:
    """The runs recorded on each host, oldest first. Raises what goes wrong with a host."""
    project, hosts = _hosts(options, "")
    found = {}
    for name, become in hosts.items():
        host = _host(project, name, become, lambda _event: None)
        host.connect()
        try:
            found[name] = host.runs(run)
        finally:
            host.close()
    return found


def gather(options: Options, name: str) -> Event:
    """The facts of one host."""
    project = open_project(options)
    host = _host(project, project.inventory.host(name).name, False, lambda _event: None, facts=True)
    try:
        found: Event = host.connect()["facts"]
        return found
    finally:
        host.close()


def _hosts(options: Options, beginning: str) -> tuple[Project, dict[str, bool]]:
    """The project and, by host, whether root is needed there."""
    record = records.latest(beginning) if not options.inventory else records.latest()
    if not options.inventory and record:
        options.inventory = list(record.get("inventory", []))
    project = open_project(options)
    known = [name for name in record.get("hosts", []) if name in project.inventory.hosts or name == "localhost"]
    pattern = options.limit or (",".join(known) if known else "all")
    names = project.inventory.limited(options.limit) if options.limit else project.inventory.select(pattern)
    if not names:
        raise UsageError(Diagnostic("no host to ask: no inventory was given and no run is recorded here",
                                    hint="name one with -i"))
    become = records.privileged(names, beginning)
    return project, {name: options.link.become or become.get(name, False) for name in names}


def _host(project: Project, name: str, become: bool, tell: Report, facts: bool = False) -> HostRun:
    return HostRun(name, project.connection(name, become), tell, project.options, facts)


def _moved(host: HostRun, reply: Event, force: bool) -> None:
    """Refuses before anything is touched when someone changed what is to be restored."""
    moved = reply.get("moved", reply.get("paths", []))
    host.outcome.pending = 0 if reply["type"] == "moved" else 1
    if not moved or force:
        return
    raise StaleError([
        Diagnostic(f"{host.name}: {one['path']} was changed by someone since \"{one['name']}\" (run {one['run']})",
                   hint="--force restores it all the same") for one in moved
    ])


def _finish(host: HostRun, reply: Event) -> None:
    if reply["type"] == "moved":
        _moved(host, reply, False)
    host.outcome.exit = 0 if reply["good"] else 9
    if reply.get("stopped"):
        host.outcome.exit = 130


def _alive(hosts: list[HostRun]) -> list[HostRun]:
    return [host for host in hosts if not host.outcome.unreachable]


def _each(hosts: list[HostRun], work: Callable[[HostRun], Any], tell: Report, options: Options) -> None:
    def guarded(host: HostRun) -> None:
        try:
            work(host)
        except ProvisionError as error:
            host.outcome.exit = 66 if isinstance(error, AgentError) else error.exit_code
            host.outcome.unreachable = isinstance(error, UnreachableError)
            for one in error.diagnostics:
                tell({"type": "diagnostic", "host": host.name, **one.as_json()})

    with ThreadPoolExecutor(max(min(len(hosts), options.forks), 1)) as pool:
        list(pool.map(guarded, hosts))
