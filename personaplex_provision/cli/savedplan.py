"""Plans in files: kept by `plan --out`, and applied only while the same plan would be made again.

Applying plans anew with the options that were kept and compares: what each task says, what the plan said of it, and
the digest of what was found on the host. A host for which anything differs is refused whole, before it is touched;
the others go on. Each step is held against that digest once more just before it is taken, by the agent. Values of `-e`
are not kept (they may be secrets) and have to be given again.
"""

from __future__ import annotations

import argparse
import os
from typing import TYPE_CHECKING, Any

from personaplex_provision.errors import Diagnostic, InvalidError, MissingFileError, StaleError, UsageError
from personaplex_provision.planning import saved
from personaplex_provision.planning.shape import misfit

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
    from personaplex_provision.runs.inputs import inputs_of

    options = fleet.project.options
    plan = saved.Plan(os.path.abspath(playbook), inputs=saved.digest_files(inputs_of(fleet.project)))
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
        plan.hosts[name] = saved.HostPlan(tasks, {key: _entry(one) for key, one in entries.items()}, host.observed)
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
    """The plan of a file, of whatever age. Raises MissingFileError, InvalidError, StaleError."""
    return Kept(path, saved.read(path, None))


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
            if misfit(found, list[str] | None):
                raise InvalidError(Diagnostic(f"{self.path} is damaged", f"options.{name} is no list of texts",
                                              hint="make the plan again"))
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

    def compare(self, fleet: Fleet) -> list[Diagnostic]:
        """Refuses every host for which another plan would be made now; returns remarks on what moved besides.

        A refused host has exit code 7 and is not touched. Raises StaleError when none is left, or when hosts are gone.
        """
        files = self._files()
        gone = [Diagnostic(f"{name}: the plan is for this host too, and it is not there now")
                for name in self.plan.hosts if name not in fleet.hosts]
        reached = [name for name, host in fleet.hosts.items() if not host.outcome.unreachable]
        stale = {name: found for name in reached if (found := self._moved(name, fleet))}
        head = Diagnostic(f"stale plan: {self.path} is not what would be done now", files,
                          hint="look at it, and make the plan again")
        if gone or (stale and len(stale) == len(reached)):
            raise StaleError([head, *gone, *(one for found in stale.values() for one in found)])
        for name, found in stale.items():
            refused = Diagnostic(f"{name}: stale plan: this host is refused, and nothing on it is touched", files,
                                 hint="the other hosts go on; make the plan again for this one")
            fleet.refuse(name, StaleError([refused, *found]))
        if files and not stale:
            return [Diagnostic(f"{self.path}: the plan is the same, though {files}", severity="note")]
        return []

    def check_age(self, max_age: float | None) -> None:
        """Raises StaleError when the plan is older than `max_age` seconds; None for the usual limit."""
        saved.check_age(self.path, self.plan, saved.MAX_AGE if max_age is None else max_age)

    def _files(self) -> str:
        """The files that were changed since the plan was made, in words; empty when none was."""
        moved = saved.moved_inputs(self.plan)
        here = os.getcwd().rstrip("/") + "/"
        shown = [one.removeprefix(here) for one in moved[:8]] + ([f"{len(moved) - 8} more"] if len(moved) > 8 else [])
        return f"changed since: {', '.join(shown)}" if shown else ""

    def _moved(self, name: str, fleet: Fleet) -> list[Diagnostic]:
        """What is another thing now on one host, a step each."""
        if name not in self.plan.hosts:
            return [Diagnostic(f"{name}: the plan does not know this host")]
        host, before = fleet.hosts[name], self.plan.hosts[name]
        entries = {address: _entry(one) for part in host.parts for address, one in part.entries.items()}
        tasks = {task.address: _task(task) for part in host.parts for task in part.tasks()}
        known = {task.address: _task(task) for task in before.tasks}
        found = []
        for address in dict.fromkeys([*known, *tasks, *before.entries, *entries, *before.observed]):
            why = _moved(known.get(address), tasks.get(address), before.entries.get(address), entries.get(address))
            if not why and before.observed.get(address) != host.observed.get(address):
                why = "what is on the host was changed since"
            if why:
                found.append(Diagnostic(f"{name}: {address}: {why}"))
        return found


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
        was, now = (_phrase(one or {}) for one in (entry, entry_now))
        if was != now:
            return f"it was {was}, and is {now} now"
        return "what is on the host was changed since" + _fields(entry or {}, entry_now or {})
    return ""


def _fields(entry: dict[str, Any], entry_now: dict[str, Any]) -> str:
    """The fields that are something else than when the plan was made."""
    was, now = ({str(one.get("field")): one.get("before") for one in _diff(each)} for each in (entry, entry_now))
    moved = [name for name in dict.fromkeys([*was, *now]) if was.get(name) != now.get(name)]
    told = [f"{name} was {_value(was, name)}, is {_value(now, name)}" for name in moved]
    return f": {', '.join(told)}" if told else ""


def _diff(entry: dict[str, Any]) -> list[dict[str, Any]]:
    found = entry.get("diff", [])
    return [] if misfit(found, list[dict[str, Any]]) else found


def _value(found: dict[str, Any], name: str) -> str:
    if name not in found:
        return "as wanted"
    text = "nothing" if found[name] is None else str(found[name])
    return text if len(text) <= 60 else text[:59] + "…"


def _phrase(entry: dict[str, Any]) -> str:
    action = str(entry.get("action", "none"))
    return _PHRASES.get(action, action)
