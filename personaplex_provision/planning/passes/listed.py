"""The edges that tasks brought along: the order of the list, and `requires:` as the user wrote it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from personaplex_provision.planning.graph import Graph


def apply(graph: Graph) -> None:
    """Takes over each task's own edges; those to tasks of another graph are left out."""
    for address, task in graph.tasks.items():
        for before, reason in task.requires:
            if before in graph.tasks:
                graph.add(before, address, reason)
