"""What only needs a connection: which hosts are asked, the history they keep, facts, who holds them."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from personaplex_provision.errors import Diagnostic, ProvisionError, UnreachableError, UsageError
from personaplex_provision.runs import records
from personaplex_provision.runs.conversation import AgentError, Event
from personaplex_provision.runs.hostrun import HostRun
from personaplex_provision.runs.options import Options
from personaplex_provision.runs.project import Project, open_project

Report = Callable[[Event], None]


def recorded(options: Options, run: str = "") -> dict[str, list[Event]]:
    """The runs recorded on each host, oldest first. Raises what goes wrong with a host."""
    project, hosts = chosen(options, "")
    found = {}
    for name, become in hosts.items():
        host = open_host(project, name, become, lambda _event: None)
        host.connect()
        try:
            found[name] = host.runs(run)
        finally:
            host.close()
    return found


def gather(options: Options, name: str) -> Event:
    """The facts of one host."""
    project = open_project(options)
    host = open_host(project, project.inventory.host(name).name, False, lambda _event: None, facts=True)
    try:
        found: Event = host.connect()["facts"]
        return found
    finally:
        host.close()


def chosen(options: Options, beginning: str) -> tuple[Project, dict[str, bool]]:
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


def open_host(project: Project, name: str, become: bool, tell: Report, facts: bool = False) -> HostRun:
    """The conversation with a host, not connected yet."""
    return HostRun(name, project.connection(name, become), tell, project.options, facts)


def reached(hosts: list[HostRun]) -> list[HostRun]:
    """Those of the hosts that could be reached."""
    return [host for host in hosts if not host.outcome.unreachable]


def each(hosts: list[HostRun], work: Callable[[HostRun], Any], tell: Report, options: Options) -> None:
    """Does the work on all hosts side by side; what goes wrong with one is told and gives that host's exit code."""

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
