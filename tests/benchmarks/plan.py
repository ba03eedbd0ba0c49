"""Ours over SSH beside the floor, on one lab host that is in state."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from pathlib import Path

from tests.benchmarks import tools
from tests.benchmarks.timing import Run, Times, once
from tests.lab.host import LabHost
from tests.lab.lab import Lab

LIMIT = 2.0
"What a plan or a run of resources that are in state may cost, in floors."


class Bench:
    """A host that is in the state of the workload, and the commands."""

    def __init__(self, lab: Lab, host: LabHost, folder: Path) -> None:
        self.host = host
        self.tools = [tools.ours(lab, folder, planning=True), tools.ours(lab, folder), tools.floor(lab, folder)]
        once(self.tools[1].command([host]), self.tools[1].environment)
        # Fails to be measured when anything is not in state.
        self.detailed = [*self.tools[0].command([host]), "--detailed-exitcode"]

    def bare(self) -> Run:
        """The least that anything over SSH costs: a connection and `python3 -c pass`."""
        access = self.host.access
        argv = [sys.executable, "-m", "tests.benchmarks.bare", self.host.address, str(access.identity),
                str(access.known_hosts)]
        return once(argv, {})

    def run(self, rounds: int) -> list[Times]:
        """All, in turn; once before to warm up. Raises CalledProcessError."""
        found = [Times(tool.name) for tool in self.tools]
        once(self.detailed, self.tools[0].environment)
        for number in range(rounds + 1):
            for times, tool in zip(found, self.tools, strict=True):
                one = once(tool.command([self.host]), tool.environment, tool.cwd)
                if number:
                    times.runs.append(one)
        return found


@contextlib.contextmanager
def bench(folder: Path) -> Iterator[Bench]:
    """A lab of its own for a benchmark."""
    with Lab() as lab, lab.host("bookworm") as host:
        yield Bench(lab, host, folder)
