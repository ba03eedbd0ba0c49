"""A host's graph: tasks as nodes, and edges that know why they exist.

The graph is built by a printed list of passes. An edge `a → b` says that `b` starts after `a` ended; its reasons read
from `b`: `its directory /etc/x`, `requires`, `listed`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any

from personaplex_provision.agent.resource import Resource
from personaplex_provision.agent.task import Task
from personaplex_provision.errors import Diagnostic, Position, UsageError, suggestion
from personaplex_provision.planning.edges import Edges
from personaplex_provision.planning.passes import acyclic, implied, listed, notified, reduced

LISTED = "listed"
"The reason of an edge that stands for the order of the list alone."

PASSES = (
    ("listed", listed.apply),
    ("acyclic", acyclic.apply),
    ("implied", implied.apply),
    ("notified", notified.apply),
    ("acyclic", acyclic.apply),
    ("reduced", reduced.apply),
)
"What `build` does, in order; a cycle of the user's own is told before edges are implied from it."


class Graph:
    """Tasks by address in the order of the list, their resources, and the edges between them.

    `needed` holds what a task was found to need (`{task: {provider: reason}}`), whether or not an edge of its own
    was necessary for it.
    """

    def __init__(self, tasks: Iterable[Task], resources: Mapping[str, Resource]) -> None:
        self.tasks = {one.address: one for one in tasks}
        self.resources = resources
        self.place = {address: number for number, address in enumerate(self.tasks)}
        self.needed: dict[str, dict[str, str]] = {}
        self.edges = Edges(self.tasks)
        self.settled: dict[str, list[list[str]]] = {}
        "What `settle` wrote."

    def add(self, before: str, after: str, reason: str) -> None:
        """Adds an edge, or one more reason to it."""
        self.edges.add(before, after, reason)

    def need(self, before: str, after: str, reason: str) -> None:
        """Notes that `after` needs what `before` provides, without an edge."""
        self.needed.setdefault(after, {}).setdefault(before, reason)

    def reasons(self, before: str, after: str) -> list[str]:
        """Why the edge exists, strongest first."""
        return sorted(self.edges.reasons(before, after), key=lambda one: one == LISTED)

    def before(self, address: str) -> list[str]:
        """What a task comes directly after, in the order of the list."""
        return sorted(self.edges.predecessors(address), key=self.place.__getitem__)

    def take_over(self, other: Graph) -> None:
        """Takes the edges of a graph of the same shape, and its tasks where they are equal to the own ones."""
        self.edges, self.needed, self.place = other.edges, other.needed, other.place
        for address, theirs in other.tasks.items():
            mine = self.tasks[address]
            mine.requires = other.settled[address]
            if mine.params is theirs.params and mine == theirs:
                self.tasks[address] = theirs

    def settle(self) -> None:
        """Writes the edges into the tasks, as the agent reads them."""
        for address, task in self.tasks.items():
            task.requires = [[one, "; ".join(self.reasons(one, address))] for one in self.before(address)]
        self.settled = {address: task.requires for address, task in self.tasks.items()}


def build(
    tasks: Iterable[Task], resources: Mapping[str, Resource], shapes: dict[Any, Graph] | None = None,
    provided: dict[int, Any] | None = None,
) -> Graph:
    """The graph of one host's tasks, given in the order of the list, with `resources` by task address.

    The edges are written to each task's `requires` too. `shapes` remembers graphs: one of a shape that is known
    takes over that one's edges; `provided` holds what resources that several hosts share were asked before. Raises
    InvalidError when tasks wait for each other.
    """
    graph = Graph(tasks, resources)
    shape = None
    if shapes is not None:
        asked = provided if provided is not None else {}
        shape = tuple([_shape(one, resources.get(one.address), asked) for one in graph.tasks.values()])
        if shape in shapes:
            graph.take_over(shapes[shape])
            return graph
    for _name, apply in PASSES:
        apply(graph)
    graph.settle()
    if shapes is not None:
        shapes[shape] = graph
    return graph


def _shape(task: Task, resource: Resource | None, provided: dict[int, Any]) -> tuple[Any, ...]:
    """All that the passes look at."""
    what: tuple[Any, ...] = ()
    if resource is not None:
        what = provided.get(id(resource), ())
        if not what:
            own = (getattr(resource, name, None) for name in ("owner", "group", "state"))
            what = (resource.kind, *resource.provides(), None, *resource.needs(), *map(str, own))
            if id(resource) in provided:
                provided[id(resource)] = what
    return (
        task.address, task.kind, task.user, task.trigger, bool(task.deferred), *task.notify, None,
        *map(tuple, task.requires), what,
    )


def ancestors(graph: Graph, names: Iterable[str], position: Position | None = None) -> list[str]:
    """Addresses of the named tasks, of all they need, and of the handlers they notify, in the order of the list.

    A name is a task's name, its address, `role : name`, or that of a role. Order alone is no need: tasks that merely
    stand earlier in the list are left out. Raises UsageError with a suggestion for a name that no task has.
    """
    open_, unknown = [], []
    known: dict[str, list[str]] = {}
    for address, task in graph.tasks.items():
        for name in {address, task.name, task.role, f"{task.role} : {task.name}" if task.role else ""} - {""}:
            known.setdefault(name, []).append(address)
    for name in names:
        open_ += known.get(name, [])
        if name not in known:
            unknown.append(Diagnostic(f'no task is called "{name}"', position=position, hint=suggestion(name, known)))
    if unknown:
        raise UsageError(unknown)
    chosen: set[str] = set()
    while open_:
        address = open_.pop()
        if address not in chosen:
            chosen.add(address)
            open_ += [one for one in graph.before(address) if graph.reasons(one, address) != [LISTED]]
            open_ += graph.needed.get(address, {})
    chosen |= {one for address in chosen for one in graph.tasks[address].notify if one in graph.tasks}
    return sorted(chosen, key=graph.place.__getitem__)


def only(graph: Graph, chosen: Collection[str]) -> list[Task]:
    """The chosen tasks, each after those of them that it came after, also where what stood between is left out."""
    from personaplex_provision.planning.order import order

    nearest: dict[str, dict[str, None]] = {address: {} for address in graph.tasks}
    for address in order(graph):
        for one in graph.before(address):
            nearest[address].update({one: None} if one in chosen else nearest[one])
    for address in chosen:
        have = {one for one, _ in graph.tasks[address].requires}
        more = [[one, LISTED] for one in nearest[address] if one not in have]
        graph.tasks[address].requires = [*graph.tasks[address].requires, *more]
    return [graph.tasks[address] for address in chosen]
