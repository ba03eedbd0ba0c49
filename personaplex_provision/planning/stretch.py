"""Stretches: tasks one after the other in a list, none of which depends on the host. They are compiled once.

Another host of the same sort takes a stretch as a whole: its tasks, which nobody changes any more, and what the walk
notes of them.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, Any

from personaplex_provision.agent.record import dataclass, field
from personaplex_provision.agent.resource import Resource
from personaplex_provision.agent.task import Task
from personaplex_provision.language.tree import Node, Written

if TYPE_CHECKING:
    from personaplex_provision.planning.compile import Edges, Walk
    from personaplex_provision.planning.scope import Scope


@dataclass
class Stretch:
    """What some tasks of a list became."""

    nodes: Sequence[Node]
    "The list; kept, since the numbers of what is in it are a part of the key."
    tasks: list[Task] = field(default_factory=list)
    resources: dict[str, Resource] = field(default_factory=dict)
    contents: dict[str, bytes] = field(default_factory=dict)
    titles: list[tuple[str, str]] = field(default_factory=list)
    "What `requires` may call them, each with the address."
    tried: set[str] = field(default_factory=set)
    "Addresses that were asked for, those given out among them."
    taken: set[str] = field(default_factory=set)
    "Those of them that tasks before had."

    def add(self, wanted: str, task: Task, resource: Resource, taken: Collection[str], titles: Collection[str],
            contents: dict[str, bytes]) -> None:
        """One more task, which wanted the address `wanted`; `taken` are all that were given out up to now."""
        fresh, number = {task.address}, int(task.address[len(wanted) + 1:] or 1)
        while number > 1 and (one := f"{wanted}#{number - 1}" if number > 2 else wanted) not in self.tried:
            fresh.add(one)
            number -= 1
        self.tasks.append(task)
        self.resources[task.address] = resource
        self.taken |= {one for one in fresh if one in taken and one not in self.resources}
        self.tried |= fresh
        self.contents.update(contents)
        self.titles += [(one, task.address) for one in titles]

    def fits(self, taken: set[str]) -> bool:
        """Whether the tasks get the same addresses where `taken` were given out."""
        return self.tried & taken == self.taken

    def into(self, walk: Walk) -> None:
        """Adds the tasks to a walk."""
        walk.taken |= self.resources.keys()
        walk.made.tasks += self.tasks
        walk.made.resources.update(self.resources)
        walk.context.stock.blobs.update(self.contents)
        for title, address in self.titles:
            walk.units.setdefault(title, []).append(address)


class Pass:
    """A walk's way through one list: takes the stretches that are known, and learns those that are not."""

    def __init__(self, walk: Walk, nodes: Sequence[Node], scope: Scope) -> None:
        shared, context = walk.context.shared, walk.context
        self.walk, self.nodes, self.scope = walk, nodes, scope
        self.around = None if scope.moved else shared.around(scope, context.sort)
        self.known = shared.stretches
        self._open: Stretch | None = None
        "What is being learnt."

    def take(self, number: int, entry: Edges) -> int:
        """How many nodes from `number` on were taken as one stretch that starts after `entry`."""
        if self.around is None or self._open is not None or self.walk.stopped:
            return 0
        found = self.known.get(self._key(number, entry))
        if found is None or not found.fits(self.walk.taken):
            return 0
        found.into(self.walk)
        return len(found.tasks)

    def learn(self, number: int, entry: Edges, lone: tuple[Task, Resource] | None) -> None:
        """Hears of the node that was walked: it became `lone` and nothing else, which another host has too, or not."""
        if self.around is None or lone is None:
            self._open = None
            return
        key = self._key(number, entry)
        if self._open is None:
            self._open = self.known[key] = Stretch(self.nodes)
        written, (task, resource), walk = self.nodes[number], lone, self.walk
        assert isinstance(written, Written)
        wanted = f"{walk.prefix}{walk.path(self.scope)}{written.name or written.kind}"
        contents = walk.context.shared.freeze(task, resource, walk.context.stock)
        self._open.add(wanted, task, resource, walk.taken, walk.titles(written), contents)

    def _key(self, number: int, entry: Edges) -> Any:
        walk = self.walk
        return (id(self.nodes[number]), walk.prefix, self.around, *map(tuple, entry))
