"""A handler comes after every task that notifies it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from personaplex_provision.planning.graph import Graph


def apply(graph: Graph) -> None:
    """Adds an edge from each task to the handlers it notifies."""
    for address, task in graph.tasks.items():
        for handler in task.notify:
            if handler in graph.tasks:
                graph.add(address, handler, "notified by it")
