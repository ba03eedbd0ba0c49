"""A host's graph: tasks as nodes, and edges that know why they exist.

The graph is built by a printed list of passes. An edge `a → b` says that `b` starts after `a` ended; its reasons read
from `b`: `its directory /etc/x`, `requires`, `listed`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from personaplex_provision.agent.resource import Resource
from personaplex_provision.agent.task import Task
from personaplex_provision.errors import Diagnostic, Position, UsageError, suggestion
from personaplex_provision.planning.edges import Edges
from personaplex_provision.planning.passes import acyclic, implied, listed, notified, reduced

if TYPE_CHECKING:
    from personaplex_provision.planning.shared import Shared

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
        self.first: Graph | None = None
        "The graph that had these edges first, of all hosts; may be this one."
        self.texts: dict[str, tuple[Task, Any]] = {}
        "Of tasks that other hosts have too: what is sent of them, kept by who sends it."

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

    @classmethod
    def like(cls, first: Graph, tasks: Iterable[Task], resources: Mapping[str, Resource], same: set[int]) -> Graph:
        """One of the same shape: with the edges of `first`, and its tasks where the own ones are equal.

        `same` are the numbers of tasks of which that is known.
        """
        graph = cls.__new__(cls)
        graph.resources, graph.first, graph.texts = resources, first, first.texts
        graph.edges, graph.needed, graph.place, graph.tasks = first.edges, first.needed, first.place, {**first.tasks}
        for task in tasks:
            if id(task) not in same:
                theirs = first.tasks[task.address]
                mine = _with_edges(task, theirs.requires)
                if mine.params is not theirs.params or mine != theirs:
                    graph.tasks[task.address] = mine
        return graph

    def settle(self) -> None:
        """Writes the edges into the tasks, as the agent reads them; into its own ones, since others may share them."""
        for address, task in self.tasks.items():
            edges = [[one, "; ".join(self.reasons(one, address))] for one in self.before(address)]
            self.tasks[address] = _with_edges(task, edges)


def build(tasks: Iterable[Task], resources: Mapping[str, Resource], shared: Shared | None = None) -> Graph:
    """The graph of one host's tasks, given in the order of the list, with `resources` by task address.

    The edges are written to each of its tasks' `requires` too. `shared` remembers graphs: one of a shape that is known
    has that one's edges. Raises InvalidError when tasks wait for each other.
    """
    shape, tasks = None, list(tasks)
    if shared is not None and shared.many:
        shape = tuple([id(one) if id(one) in shared.frozen else
                       _shape(one, resources.get(one.address), shared.provided) for one in tasks])
        if shape in shared.shapes:
            return Graph.like(shared.shapes[shape], tasks, resources, shared.frozen)
    graph = Graph(tasks, resources)
    for _name, apply in PASSES:
        apply(graph)
    graph.settle()
    if shared is not None and shape is not None:
        shared.shapes[shape] = graph.first = graph
    return graph


def _with_edges(task: Task, edges: list[list[str]]) -> Task:
    made = Task.__new__(Task)
    made.__dict__.update(task.__dict__)  # a fraction of what `replace` takes
    made.requires = edges
    return made


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

    found = []

    nearest: dict[str, dict[str, None]] = {address: {} for address in graph.tasks}
    for address in order(graph):
        for one in graph.before(address):
            nearest[address].update({one: None} if one in chosen else nearest[one])
    for address in chosen:
        have = {one for one, _ in graph.tasks[address].requires}
        more = [[one, LISTED] for one in nearest[address] if one not in have]
        found.append(_with_edges(graph.tasks[address], [*graph.tasks[address].requires, *more]))
    return found
