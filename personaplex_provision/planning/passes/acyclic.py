"""Tasks that wait for each other are an error, told with the whole circle and why each waits for the next."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

from personaplex_provision.errors import Diagnostic, InvalidError, Position

if TYPE_CHECKING:
    from personaplex_provision.planning.graph import Graph


def apply(graph: Graph) -> None:
    """Raises InvalidError with one diagnostic for each knot of tasks that wait for each other."""
    if graph.edges.acyclic():
        return
    import networkx

    found, edges = [], graph.edges.digraph()
    for knot in networkx.strongly_connected_components(edges):
        inside = edges.subgraph(knot)
        if inside.number_of_edges():
            first = min(knot, key=graph.place.__getitem__)
            found.append(_told(graph, [one[0] for one in networkx.find_cycle(inside, first)]))
    raise InvalidError(found)


def _told(graph: Graph, circle: list[str]) -> Diagnostic:
    """`a -> b (requires) -> a (its directory /x)`: each waits for the next."""
    waiting = [circle[0], *reversed(circle)]
    line, places = _name(graph, waiting[0]), []
    for one, other in itertools.pairwise(waiting):
        reason = "; ".join(graph.reasons(other, one))
        line += f" -> {_name(graph, other)} ({reason})"
        places.append(f"{_name(graph, one)}: {graph.tasks[one].position or 'no position'}")
    hint = "take one `requires:` away, or change the order of the list"
    return Diagnostic(f"tasks wait for each other: {line}", "\n".join(places), position_of(graph, waiting[0]), hint)


def position_of(graph: Graph, address: str) -> Position | None:
    """Where a task was written."""
    file, _, rest = graph.tasks[address].position.partition(":")
    numbers = rest.split(":")
    if len(numbers) == 2 and all(one.isdigit() for one in numbers):
        return Position(file, int(numbers[0]), int(numbers[1]))
    return Position(file) if file else None


def _name(graph: Graph, address: str) -> str:
    return graph.tasks[address].name or address
