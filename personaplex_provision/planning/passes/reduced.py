"""Edges that say nothing new are dropped.

An edge is redundant when a longer way says the same, also in failure: every task on that way must be one that does not
run when what it waits for failed. Edges into joins stay, since a join sums up exactly what it requires.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from personaplex_provision.planning.graph import Graph


def apply(graph: Graph) -> None:
    """Removes redundant edges; the graph must have no cycle."""
    from personaplex_provision.planning.order import order

    behind: dict[str, int] = {}  # ancestors of a task by ways that pass failure on, as bits in list order
    bit = {address: 1 << number for address, number in graph.place.items()}
    for address in order(graph):
        task = graph.tasks[address]
        before = list(graph.edges.predecessors(address))
        reached = 0
        for one in before:
            reached |= behind[one]
        join = not task.kind and not task.deferred
        if not join and len(before) > 1:
            for one in before:
                if reached & bit[one]:
                    graph.edges.remove(one, address)
        if task.trigger == "success":
            for one in before:
                reached |= bit[one]
            behind[address] = reached
        else:
            behind[address] = 0
