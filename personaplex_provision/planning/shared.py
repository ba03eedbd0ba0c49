"""What is found out once for all hosts of a run: tasks in which nothing depends on a host, and graphs of one shape.

A task is such a one when no template, condition or loop is in it or around it. A graph has the shape of an earlier one
when its tasks have the same addresses, edges, and things they provide and need; then it shares that one's edges.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from personaplex_provision.agent.record import dataclass, field
from personaplex_provision.agent.resource import Resource
from personaplex_provision.agent.task import Task
from personaplex_provision.agent.values import Blob
from personaplex_provision.language.tree import Written
from personaplex_provision.planning.coerce import Stock
from personaplex_provision.planning.scope import Scope
from personaplex_provision.planning.stretch import Stretch
from personaplex_provision.planning.validator import is_open

_FREE = frozenset({
    "name", "tags", "notify", "become", "become_user", "ignore_errors", "no_log", "vars", "register", "requires",
    "timeout", "affects",
})
"Keywords that are the same for every host when no template is in them."
_AROUND = frozenset({"no_log", "ignore_errors", "timeout", "any_errors_fatal", "throttle"})
_READ_HERE = frozenset({"assert", "set_fact", "debug", "template", "copy", "script", "unarchive", "assemble"})
"Kinds whose parameters mean something to the controller: facts, files of its own."


@dataclass
class _Known:
    """A task that was made, and all that has to be kept for it to be taken again."""

    written: Written
    scope: Scope
    task: Task
    resource: Resource
    contents: dict[str, bytes]


@dataclass
class Shared:
    """Lives as long as the run; hosts are compiled one at a time."""

    many: bool = False
    "Whether there is more than one host; else there is nothing to share."
    shapes: dict[Any, Any] = field(default_factory=dict)
    "Shape -> the graph that had it first."
    stretches: dict[Any, Stretch] = field(default_factory=dict)
    frozen: set[int] = field(default_factory=set)
    "Numbers of the tasks that are in stretches."
    provided: dict[int, Any] = field(default_factory=dict)
    "Number of a resource that is kept here -> what it provides and needs; empty while nobody asked."
    _tasks: dict[Any, _Known] = field(default_factory=dict)
    _closed: dict[int, tuple[Written, bool]] = field(default_factory=dict)

    def around(self, scope: Scope, host: Collection[Any]) -> Any:
        """Equal where what is around a task is the same on every host of the sort `host`; None when it is not."""
        if not self.many or scope.when or scope.environment or scope.defaults or not _AROUND.issuperset(scope.keywords):
            return None
        values = (scope.become, scope.become_user, *scope.keywords.values())
        if any(isinstance(one, (dict, list)) or is_open(one) for one in values):
            return None
        role = id(scope.role) if scope.role else 0
        return (role, scope.tags, scope.block, *scope.keywords, *values, *host)

    def key(self, written: Written, scope: Scope, address: str, host: Collection[Any]) -> Any:
        """Equal for tasks that are the same on every host of the sort `host`; None when it depends on the host."""
        around = self.around(scope, host) if self.many and self._is_closed(written) else None
        return None if around is None else (id(written), address, *around)

    def take(self, key: Any, stock: Stock) -> tuple[Task, Resource] | None:
        """The task as it was made before, without edges; what it sends goes into `stock`."""
        known = self._tasks.get(key)
        if known is None:
            return None
        stock.blobs.update(known.contents)
        task = _copy(known.task)
        task.requires, task.notify, task.trigger_on = [], [], []
        return task, known.resource

    def keep(self, key: Any, written: Written, scope: Scope, task: Task, resource: Resource, stock: Stock) -> bool:
        """Keeps a task that was just made, unless a secret is in it: its name may be another host's too."""
        if _has_secret(task.params):
            return False
        self.provided[id(resource)] = ()
        self._tasks[key] = _Known(written, scope, _copy(task), resource, _contents(resource, stock))
        return True

    def freeze(self, task: Task, resource: Resource, stock: Stock) -> dict[str, bytes]:
        """Notes that a task is in a stretch, which keeps it; returns what it sends."""
        self.frozen.add(id(task))
        return _contents(resource, stock)

    def _is_closed(self, written: Written) -> bool:
        known = self._closed.get(id(written))
        if known is None:
            words = written.keywords
            closed = (
                _FREE.issuperset(words) and not written.lookup and not written.check
                and not (written.kind in _READ_HERE and not _plain_content(written))
                and not is_open([written.name, written.params, written.args])
                and not is_open([value for name, value in words.items() if name != "vars"])
            )
            # The task is kept with the answer: its number must not become another's.
            known = self._closed[id(written)] = (written, closed)
        return known[1]


def _contents(resource: Resource, stock: Stock) -> dict[str, bytes]:
    named = [one.sha256 for one in vars(resource).values() if isinstance(one, Blob)]
    return {one: stock.blobs[one] for one in named if one in stock.blobs}


def _copy(task: Task) -> Task:
    made = Task.__new__(Task)
    made.__dict__.update(task.__dict__)  # a fraction of what `copy` takes
    return made


def _plain_content(written: Written) -> bool:
    """Whether a copy has its content in the playbook."""
    return written.kind == "copy" and isinstance(written.params, Mapping) and "src" not in written.params


def _has_secret(value: Any) -> bool:
    if isinstance(value, dict):
        return "$secret" in value or any(map(_has_secret, value.values()))
    return isinstance(value, list) and any(map(_has_secret, value))
