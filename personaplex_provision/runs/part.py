"""One play as one host has it."""

from __future__ import annotations

from typing import Any

from personaplex_provision.agent.record import dataclass, field
from personaplex_provision.agent.task import Task
from personaplex_provision.language.tree import Play
from personaplex_provision.planning import graph as graphs
from personaplex_provision.planning.compile import Compiled
from personaplex_provision.runs.conversation import Event


@dataclass
class Part:
    """One play compiled for this host."""

    play: Play
    compiled: Compiled
    graph: graphs.Graph
    ordered: list[str]
    entries: dict[str, Event] = field(default_factory=dict)
    baseline: dict[str, Any] = field(default_factory=dict)
    planned: int = 0
    "Which of the host's plans it is; 0 as long as the host has not planned it."

    def tasks(self) -> list[Task]:
        """The tasks in the order in which they are planned and, one by one, would be applied."""
        return [self.graph.tasks[address] for address in self.ordered]
