"""The edges of a host's graph. networkx is asked only where something hard is: importing it costs more than a plan."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import networkx


class Edges:
    """Directed edges between nodes, each with its reasons; nodes and edges keep the order in which they came."""

    def __init__(self, nodes: Iterable[str]) -> None:
        self._after: dict[str, dict[str, list[str]]] = {one: {} for one in nodes}
        self._before: dict[str, dict[str, list[str]]] = {one: {} for one in self._after}
        self.line: list[str] | None = None
        "The nodes in order, once that was found out; see `order.order`."

    def add(self, before: str, after: str, reason: str) -> None:
        """Adds an edge, or one more reason to it."""
        self.line = None
        reasons = self._after[before].setdefault(after, [])
        self._before[after][before] = reasons
        if reason not in reasons:
            reasons.append(reason)

    def remove(self, before: str, after: str) -> None:
        """Takes an edge away. Raises KeyError when there is none."""
        self.line = None
        del self._after[before][after], self._before[after][before]

    def reasons(self, before: str, after: str) -> list[str]:
        """Why the edge exists. Raises KeyError when there is none."""
        return self._after[before][after]

    def predecessors(self, node: str) -> Iterator[str]:
        """The nodes from which an edge leads here."""
        return iter(self._before[node])

    def successors(self, node: str) -> Iterator[str]:
        """The nodes to which an edge leads from here."""
        return iter(self._after[node])

    def in_degree(self) -> dict[str, int]:
        """How many edges lead to each node."""
        return {node: len(before) for node, before in self._before.items()}

    def number_of_edges(self) -> int:
        """How many edges there are."""
        return sum(map(len, self._after.values()))

    @property
    def edges(self) -> list[tuple[str, str]]:
        """The edges as pairs."""
        return [(before, after) for before, found in self._after.items() for after in found]

    def acyclic(self) -> bool:
        """Whether no way leads in a circle."""
        waiting = self.in_degree()
        ready = [node for node, left in waiting.items() if not left]
        seen = 0
        while ready:
            seen += 1
            for after in self._after[ready.pop()]:
                waiting[after] -= 1
                if not waiting[after]:
                    ready.append(after)
        return seen == len(waiting)

    def digraph(self) -> networkx.DiGraph[str]:
        """The same as networkx has it."""
        import networkx

        found: networkx.DiGraph[str] = networkx.DiGraph()
        found.add_nodes_from(self._after)
        found.add_edges_from(self.edges)
        return found
