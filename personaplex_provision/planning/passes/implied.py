"""What a task needs and another provides gives an edge: a file comes after its directory, a service after its unit.

A provider listed earlier always counts. One listed later counts only while nothing else says that it comes later, so
that `requires: []` never frees a task from what it stands on. Tasks that change the same thing keep their order.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import TYPE_CHECKING

from personaplex_provision.agent.resource import Address
from personaplex_provision.planning.passes.addresses import following_from, needed_by, provided_by, widening

if TYPE_CHECKING:
    from personaplex_provision.planning.graph import Graph


def apply(graph: Graph) -> None:
    """Adds implied edges where no way exists yet, and notes every need that was met."""
    ways = _Ways(graph)
    own: dict[Address, list[str]] = {}
    for address, task in graph.tasks.items():
        if address in graph.resources and not task.skipped and task.trigger in ("success", "always"):
            for what in provided_by(graph.resources[address], task):
                own.setdefault(what, []).append(address)
    for (_kind, name), tasks in own.items():
        for first, second in itertools.pairwise(tasks):
            if not ways.exist(first, second) and not ways.exist(second, first):
                ways.add(first, second, f"changes {name} too")
    providers = {what: list(tasks) for what, tasks in own.items()}
    for what, tasks in own.items():
        for other in following_from(what):
            providers[other] = sorted({*providers.get(other, ()), *tasks}, key=graph.place.__getitem__)
    for address, task in graph.tasks.items():
        if address in graph.resources and not task.skipped:
            for need, reason in needed_by(graph.resources[address], task):
                _meet(graph, ways, providers, address, need, reason)


def _meet(
    graph: Graph, ways: _Ways, providers: dict[Address, list[str]], address: str, need: Address, reason: str,
) -> None:
    """Puts a task after what provides its need, the nearest first; a need of `*` is met by all of that sort."""

    def after(provider: str, name: str) -> None:
        graph.need(provider, address, reason.format(name=name))
        if not ways.exist(provider, address):
            ways.add(provider, address, reason.format(name=name))

    place = graph.place[address]
    if need[1] == "*":
        for (kind, name), tasks in providers.items():
            for one in tasks if kind == need[0] else ():
                if graph.place[one] < place:
                    after(one, name)
        return None
    for what in widening(need):
        found = [one for one in providers.get(what, ()) if one != address]
        earlier = [one for one in found if graph.place[one] < place]
        if earlier:
            return after(earlier[-1], what[1])
        for one in found:
            if _makes(graph, one) and _makes(graph, address) and not ways.exist(address, one):
                return after(one, what[1])
    return None


def _makes(graph: Graph, address: str) -> bool:
    """Whether the task makes something rather than removes it."""
    return getattr(graph.resources[address], "state", None) != "absent"


class _Ways:
    """Which task can be reached from which, kept up while edges are added; sets are bits in list order."""

    def __init__(self, graph: Graph) -> None:
        from personaplex_provision.planning.order import order

        self.graph = graph
        self.names = list(graph.tasks)
        self.ahead = [0] * len(self.names)
        self.behind = [0] * len(self.names)
        place, line = graph.place, order(graph)
        for address in line:
            for one in graph.edges.predecessors(address):
                self.behind[place[address]] |= self.behind[place[one]] | 1 << place[one]
        for address in reversed(line):
            for one in graph.edges.successors(address):
                self.ahead[place[address]] |= self.ahead[place[one]] | 1 << place[one]

    def exist(self, before: str, after: str) -> bool:
        """Whether some way already leads from `before` to `after`."""
        return bool(self.ahead[self.graph.place[before]] >> self.graph.place[after] & 1)

    def add(self, before: str, after: str, reason: str) -> None:
        """Adds an edge and all the ways it opens."""
        self.graph.add(before, after, reason)
        start, end = self.graph.place[before], self.graph.place[after]
        sources, targets = self.behind[start] | 1 << start, self.ahead[end] | 1 << end
        for one in _bits(sources):
            self.ahead[one] |= targets
        for one in _bits(targets):
            self.behind[one] |= sources


def _bits(value: int) -> Iterator[int]:
    while value:
        low = value & -value
        yield low.bit_length() - 1
        value ^= low
