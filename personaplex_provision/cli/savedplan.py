"""Plans in files: kept by `plan --out`, and applied only while the same plan would be made again.

Applying plans anew with the options that were kept and compares: a playbook, a variable or a host that has moved
since gives another plan, and is refused. Values of `-e` are not kept (they may be secrets) and have to be given again.
"""

from __future__ import annotations

import argparse
import os
from typing import TYPE_CHECKING, Any

from personaplex_provision.errors import Diagnostic, MissingFileError, StaleError, UsageError
from personaplex_provision.planning import saved

if TYPE_CHECKING:
    from personaplex_provision.agent.task import Task
    from personaplex_provision.runs.fleet import Fleet

_OPTIONS = ("inventory", "limit", "tags", "skip_tags", "target", "roles_path")
"Flags whose values decide what the plan says."
_PHRASES = {"none": "nothing to do", "create": "to create", "update": "to change", "delete": "to delete",
            "run": "to run", "unknown": "to decide while applying"}
_COMPARED = ("action", "diff", "preview", "reversible", "skipped")


def keep(path: str, fleet: Fleet, playbook: str) -> None:
    """Writes the fleet's plan to a file. Raises InvalidError when it would hold a secret, MissingFileError."""
    options = fleet.project.options
    plan = saved.Plan(os.path.abspath(playbook), hosts={}, inputs=saved.digest_files([os.path.abspath(playbook)]))
    secrets: dict[str, str] = {}
    for name, host in fleet.hosts.items():
        if host.outcome.unreachable:
            continue
        stock = host.context.stock if host.context is not None else None
        if stock is not None:
            secrets.update(stock.secrets)
            plan.blobs.update(stock.blobs)
        tasks = [task for part in host.parts for task in part.tasks()]
        entries = {address: entry for part in host.parts for address, entry in part.entries.items()}
        plan.hosts[name] = saved.HostPlan(tasks, {key: _entry(one) for key, one in entries.items()})
    plan.secrets = dict.fromkeys(secrets, "given again when the plan is applied")
    plan.options = {
        "inventory": [os.path.abspath(one) if os.path.exists(one) else one for one in options.inventory],
        "limit": [options.limit] if options.limit else None, "tags": sorted(options.tags),
        "skip_tags": sorted(options.skip_tags), "target": options.targets,
        "roles_path": [os.path.abspath(one) for one in options.roles_path], "extra_vars": bool(options.extra_vars),
        "directory": os.getcwd(),
    }
    saved.write(path, plan, secrets)


def open_(path: str) -> Kept:
    """The plan of a file. Raises MissingFileError, InvalidError, StaleError."""
    return Kept(path, saved.read(path))


class Kept:
    """A plan that was read from a file."""

    def __init__(self, path: str, plan: saved.Plan) -> None:
        self.path = path
        self.plan = plan
        self.playbook = plan.playbook
        if not os.path.exists(plan.playbook):
            raise MissingFileError(Diagnostic(f"{path} was made from {plan.playbook}, which is gone"))

    def fill(self, args: argparse.Namespace) -> None:
        """Sets the flags that the plan was made with. Raises UsageError when one of them was given otherwise."""
        problems = []
        for name in _OPTIONS:
            found = self.plan.options.get(name) or None
            if getattr(args, name) is not None and getattr(args, name) != found:
                flag = "--" + name.replace("_", "-")
                problems.append(Diagnostic(f"{flag} is part of the plan and cannot be given again",
                                           hint="make a plan with it: provision plan --out FILE"))
            setattr(args, name, found)
        if self.plan.options.get("extra_vars") and not args.extra_vars:
            problems.append(Diagnostic("the plan was made with -e, whose values are not kept in it",
                                       hint="give the same -e again"))
        if problems:
            raise UsageError(problems)

    def compare(self, fleet: Fleet) -> None:
        """Raises StaleError with every step that would be another one now."""
        found: list[Diagnostic] = []
        for name, host in fleet.hosts.items():
            if host.outcome.unreachable:
                continue
            if name not in self.plan.hosts:
                found.append(Diagnostic(f"{name}: the plan does not know this host"))
                continue
            before = self.plan.hosts[name]
            entries = {address: _entry(one) for part in host.parts for address, one in part.entries.items()}
            tasks = {task.address: _task(task) for part in host.parts for task in part.tasks()}
            known = {task.address: _task(task) for task in before.tasks}
            for address in dict.fromkeys([*known, *tasks, *before.entries, *entries]):
                why = _moved(known.get(address), tasks.get(address), before.entries.get(address), entries.get(address))
                if why:
                    found.append(Diagnostic(f"{name}: {address}: {why}"))
        found += [Diagnostic(f"{name}: the plan is for this host too, and it is not there now")
                  for name in self.plan.hosts if name not in fleet.hosts]
        if found:
            raise StaleError([Diagnostic(f"stale plan: {self.path} is not what would be done now",
                                         hint="look at it, and make the plan again"), *found])


def _task(task: Task) -> dict[str, Any]:
    """What a task says, wherever it is written."""
    return {key: item for key, item in task.to_json().items() if key != "position"}


def _entry(event: dict[str, Any]) -> dict[str, Any]:
    """What of a `plan_task` tells one plan from another."""
    return {key: event[key] for key in _COMPARED if event.get(key) not in (None, "", [])}


def _moved(task: Any, task_now: Any, entry: Any, entry_now: Any) -> str:
    if task is None and task_now is not None:
        return "the task is new"
    if task is not None and task_now is None:
        return "the task is gone"
    if task != task_now:
        return "the task says something else now"
    if entry != entry_now:
        was, now = (_PHRASES[(one or {}).get("action", "none")] for one in (entry, entry_now))
        return f"it was {was}, and is {now} now" if was != now else "what is on the host was changed since"
    return ""
