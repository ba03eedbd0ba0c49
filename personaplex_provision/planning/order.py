"""Orders of a graph: the one of the list, a random one, and the path that takes longest."""

from __future__ import annotations

import heapq
import random
from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from personaplex_provision.planning.graph import Graph


def order(graph: Graph) -> list[str]:
    """Addresses so that each comes after all it requires; where free, in the order of the list.

    The graph must have no cycle.
    """
    if graph.edges.line is not None:
        return list(graph.edges.line)
    waiting = graph.edges.in_degree()
    ready = [graph.place[one] for one, left in waiting.items() if not left]
    heapq.heapify(ready)
    names, found = list(graph.tasks), []
    while ready:
        address = names[heapq.heappop(ready)]
        found.append(address)
        for after in graph.edges.successors(address):
            waiting[after] -= 1
            if not waiting[after]:
                heapq.heappush(ready, graph.place[after])
    graph.edges.line = found
    return list(found)


def random_order(graph: Graph, seed: int) -> list[str]:
    """Some order that the graph allows; the same one for the same seed."""
    source, waiting = random.Random(seed), graph.edges.in_degree()
    ready = [one for one in graph.tasks if not waiting[one]]
    found = []
    while ready:
        address = ready.pop(source.randrange(len(ready)))
        found.append(address)
        for after in graph.edges.successors(address):
            waiting[after] -= 1
            if not waiting[after]:
                ready.append(after)
    return found


def critical_path(graph: Graph, seconds: Mapping[str, float] | None = None) -> tuple[list[str], float]:
    """The chain of tasks that takes longest, and its length in seconds.

    `seconds` tells how long tasks took before; one that is not there counts 1, a join 0.
    """
    known = seconds or {}
    ends: dict[str, float] = {}
    came: dict[str, str] = {}
    for address in order(graph):
        before = graph.before(address)
        if before:
            came[address] = max(before, key=ends.__getitem__)
        own = known.get(address, 1.0 if graph.tasks[address].kind else 0.0)
        ends[address] = own + (ends[came[address]] if before else 0.0)
    if not ends:
        return [], 0.0
    last = max(ends, key=ends.__getitem__)
    path, length = [last], ends[last]
    while path[-1] in came:
        path.append(came[path[-1]])
    return path[::-1], length
