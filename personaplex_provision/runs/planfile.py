"""Saved plans: written after planning, and held against the world before they are applied."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from personaplex_provision.errors import Diagnostic, StaleError
from personaplex_provision.language.playbook import roles_of
from personaplex_provision.planning import saved
from personaplex_provision.runs.fleet import Fleet
from personaplex_provision.runs.options import Options
from personaplex_provision.runs.project import Project

_KEPT = ("inventory", "limit", "targets", "extra_vars", "on_failure", "jobs", "forks", "vault_ids",
         "vault_password_files", "roles_path")


def save(fleet: Fleet, path: str) -> None:
    """Writes what the fleet planned to `path`. Raises InvalidError when a secret would be in it."""
    project = fleet.project
    hosts: dict[str, saved.HostPlan] = {}
    blobs: dict[str, bytes] = {}
    secrets: dict[str, str] = {}
    for name, host in fleet.hosts.items():
        if host.context is None:
            continue
        tasks = [task for part in host.parts for task in part.tasks()]
        entries = {address: _kept(entry) for part in host.parts for address, entry in part.entries.items()}
        observed = {address: _digest(entry) for address, entry in entries.items()}
        hosts[name] = saved.HostPlan(tasks, entries, observed, {"become": host.connection.become})
        blobs.update(host.context.stock.blobs)
        secrets.update(host.context.stock.secrets)
    options = {name: getattr(project.options, name) for name in _KEPT}
    options |= {"tags": sorted(project.options.tags), "skip_tags": sorted(project.options.skip_tags)}
    plan = saved.Plan(
        fleet.playbook.path, hosts, saved.digest_files(inputs(project)), blobs,
        dict.fromkeys(secrets, "asked for again when the plan is applied"), options | {"directory": os.getcwd()},
    )
    saved.write(path, plan, secrets)


def options_of(plan: saved.Plan, given: Options) -> Options:
    """The options a plan was made with; how to connect and whom to ask for passwords is as given now."""
    kept = {name: value for name, value in plan.options.items() if name in _KEPT}
    return Options(**{
        **{name: getattr(given, name) for name in asdict(Options()) if name not in _KEPT}, **kept, "link": given.link,
        "tags": frozenset(plan.options["tags"]), "skip_tags": frozenset(plan.options["skip_tags"]),
    })


def expect(fleet: Fleet, plan: saved.Plan) -> None:
    """Holds what was planned now against the saved plan. Raises StaleError that lists every difference."""
    found = [Diagnostic(f"stale plan: {path} is not as it was", hint="make the plan again")
             for path in saved.moved_inputs(plan)]
    for name in sorted(set(plan.hosts) | set(fleet.hosts)):
        host, then = fleet.hosts.get(name), plan.hosts.get(name)
        if host is None or then is None:
            found.append(Diagnostic(f"stale plan: {name} is {'new' if then is None else 'no longer'} among the hosts"))
            continue
        now = {address: _kept(entry) for part in host.parts for address, entry in part.entries.items()}
        for address in dict.fromkeys([*then.entries, *now]):
            if _digest(now.get(address)) != _digest(then.entries.get(address)):
                found.append(_moved(name, address, then.entries.get(address), now.get(address)))
    if found:
        raise StaleError(found)


def inputs(project: Project) -> list[str]:
    """Every file a plan was made from, as far as names tell: playbook, roles, inventory and variables beside them."""
    found: dict[str, None] = {}
    assert project.playbook is not None
    found[project.playbook.path] = None
    for play in project.playbook.plays:
        found[play.file] = None
        for role in roles_of(play):
            found.update(dict.fromkeys(_files(role.path)))
    for source in [*project.options.inventory, project.playbook.directory]:
        if os.path.isfile(source):
            found[source] = None
        elif os.path.isdir(source) and source != project.playbook.directory:
            found.update(dict.fromkeys(_files(source)))
        folder = source if os.path.isdir(source) else os.path.dirname(source)
        for name in ("group_vars", "host_vars"):
            found.update(dict.fromkeys(_files(os.path.join(folder, name))))
    return [os.path.abspath(one) for one in found]


def _files(folder: str) -> Iterator[str]:
    for top, folders, files in os.walk(folder):
        folders[:] = sorted(one for one in folders if not one.startswith((".", "__")))
        yield from (os.path.join(top, name) for name in sorted(files))


def _kept(entry: dict[str, Any]) -> dict[str, Any]:
    """What of a plan's entry must be the same when it is applied."""
    return {key: entry[key] for key in ("name", "kind", "action", "diff", "preview", "reason") if key in entry}


def _digest(entry: Any) -> str:
    return hashlib.sha256(json.dumps(entry, sort_keys=True, default=str).encode()).hexdigest()


def _moved(host: str, address: str, then: dict[str, Any] | None, now: dict[str, Any] | None) -> Diagnostic:
    if then is None or now is None:
        return Diagnostic(f"stale plan: {host}: {address} is {'new' if then is None else 'gone'}")
    lines = [f"{key}: planned {_short(then.get(key))}, now {_short(now.get(key))}"
             for key in ("action", "diff", "preview", "reason") if then.get(key) != now.get(key)]
    return Diagnostic(f"stale plan: {host}: {address} would do something else now", "\n".join(lines),
                      hint="make the plan again")


def _short(value: Any) -> str:
    text = json.dumps(value, default=str)
    return text if len(text) < 120 else f"{text[:117]}..."
