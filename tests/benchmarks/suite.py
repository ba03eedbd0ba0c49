"""The whole comparison: cells of tools x hosts x distance x case, measured in turn while there is time."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from tests.benchmarks import state
from tests.benchmarks.delay import Link
from tests.benchmarks.timing import Times, once
from tests.benchmarks.tools import MAKERS, Tool
from tests.lab.host import LabHost
from tests.lab.lab import Lab

ALL = ("ours", "floor", "pyinfra-nodelay", "pyinfra", "mitogen", "ansible")
LIGHT = ("ours", "floor", "pyinfra-nodelay", "mitogen")
PACKAGES = ("python3-apt", "cron")
"What the modules of the other tools need on a host."


@dataclasses.dataclass(frozen=True)
class Cell:
    """One question: how long the tools take for a case."""

    case: str
    "noop, fresh or drift."
    hosts: int
    rtt: int
    "Milliseconds that the line adds to a round trip."
    tools: tuple[str, ...]

    @property
    def name(self) -> str:
        """For people."""
        case = {"noop": "no-op", "drift": "one drifted file"}.get(self.case, self.case)
        return f"{case}, {self.hosts} host{'s' * (self.hosts > 1)}{f', {self.rtt} ms RTT' if self.rtt else ''}"


CELLS = (
    Cell("noop", 1, 0, ("plan", *ALL)),
    Cell("fresh", 1, 0, ALL),
    Cell("noop", 1, 50, ("plan", *ALL)),
    Cell("drift", 1, 0, ("ours", "floor", "pyinfra-nodelay")),
    Cell("noop", 10, 0, ("ours", "floor", "pyinfra-nodelay", "pyinfra", "mitogen")),
    Cell("noop", 30, 0, ("ours", "floor", "pyinfra-nodelay", "pyinfra", "mitogen")),
    Cell("fresh", 10, 0, ("ours", "floor", "pyinfra-nodelay")),
    Cell("fresh", 30, 0, LIGHT),
)
"In the order of their weight: what comes last is what is left out when time runs out."


@dataclasses.dataclass(frozen=True)
class Wanted:
    """What a run of the suite is asked for."""

    cells: tuple[Cell, ...]
    rounds: int
    "Most runs of a tool in a cell."
    patience: float
    "Seconds that one tool may spend in a cell; its first run is never cut."
    deadline: float
    "Monotonic time after which no cell is begun."


def wanted(environment: dict[str, str] | os._Environ[str]) -> Wanted:
    """From `BENCH_HOSTS`, `_RTT` (milliseconds), `_CASES`, `_TOOLS`, `_ROUNDS`, `_PATIENCE` (seconds), `_MINUTES`."""

    def words(name: str, default: str) -> list[str]:
        return environment.get(name, default).replace(",", " ").split()

    hosts = [int(one) for one in words("BENCH_HOSTS", "1 10 30")]
    distances = [int(one) for one in words("BENCH_RTT", "0 50")]
    cases, tools = words("BENCH_CASES", "noop plan fresh drift"), words("BENCH_TOOLS", " ".join(MAKERS))
    cells = [
        dataclasses.replace(cell, tools=tuple(
            one for one in cell.tools if one in tools and (one != "plan" or "plan" in cases)))
        for cell in CELLS if cell.hosts in hosts and cell.rtt in distances and cell.case in cases
    ]
    minutes = float(environment.get("BENCH_MINUTES", "18"))
    return Wanted(
        tuple(cell for cell in cells if cell.tools), int(environment.get("BENCH_ROUNDS", "7")),
        float(environment.get("BENCH_PATIENCE", "20")), time.monotonic() + 60 * minutes,
    )


class Suite:
    """Hosts, tools and what was found; `found` is whole after every cell."""

    def __init__(self, lab: Lab, folder: Path, want: Wanted, keep: Callable[[dict[str, Any]], None]) -> None:
        self.lab = lab
        self.folder = folder
        self.want = want
        self.found: dict[str, Any] = {"cells": [], "left_out": [], "differences": [], "failures": []}
        self._keep = keep
        self._tools: dict[str, Tool] = {}
        self._expected: dict[int, str] = {}

    def run(self) -> None:
        """Measures every cell there is time for."""
        most = max((cell.hosts for cell in self.want.cells), default=0)
        with _hosts(self.lab, min(most, 1)) as first, contextlib.ExitStack() as stack:
            hosts = list(first)
            for cell in self.want.cells:
                if time.monotonic() > self.want.deadline:
                    self.found["left_out"].append(f"{cell.name}: no time left")
                    continue
                if cell.hosts > len(hosts):
                    hosts += stack.enter_context(_hosts(self.lab, cell.hosts - len(hosts)))
                try:
                    self._cell(cell, hosts[: cell.hosts])
                except (subprocess.CalledProcessError, OSError) as error:
                    self.found["failures"].append(f"{cell.name}: {error}: {str(getattr(error, 'output', ''))[-600:]}")
                self._keep(self.found)

    def _cell(self, cell: Cell, hosts: Sequence[LabHost]) -> None:
        print(f"{cell.name} …", file=sys.stderr, flush=True)
        tools = {name: self._tool(name) for name in cell.tools}
        times = {name: Times(tool.name) for name, tool in tools.items()}
        spent = dict.fromkeys(tools, 0.0)
        found: dict[str, Any] = {"cell": cell.name, "case": cell.case, "hosts": cell.hosts, "rtt": cell.rtt}
        with contextlib.ExitStack() as stack:
            inside: list[str] = []
            if cell.rtt:
                link = stack.enter_context(Link(cell.rtt / 2000, str(self.lab.network.subnet)))
                inside = link.inside()
                found["echo"] = round(link.echo(hosts[0].address), 4)
            if cell.case != "fresh":
                # A second run, as everyday ones are: on hosts that we have provisioned. The others keep nothing there.
                state.reset(hosts)
                self._once(tools.get("ours") or next(iter(tools.values())), [], hosts)
            for number in range(self.want.rounds):
                for name, tool in tools.items():
                    if number and (spent[name] > self.want.patience or time.monotonic() > self.want.deadline):
                        continue
                    self._before(cell.case, hosts)
                    try:
                        one = self._once(tool, inside, hosts)
                    except subprocess.CalledProcessError as error:
                        # The others are still worth knowing.
                        spent[name] = float("inf")
                        self.found["failures"].append(f"{cell.name}: {tool.name} failed: {str(error.output)[-600:]}")
                        continue
                    spent[name] += one.seconds
                    times[name].runs.append(one)
                    if not number and name != "plan":
                        self._compare(tool, cell, hosts)
        found["tools"] = {name: {"name": one.name, "version": tools[name].version, **one.as_json()}
                          for name, one in times.items() if one.runs}
        self.found["cells"].append(found)

    def _tool(self, name: str) -> Tool:
        if name not in self._tools:
            self._tools[name] = MAKERS[name](self.lab, self.folder)
        return self._tools[name]

    def _before(self, case: str, hosts: Sequence[LabHost]) -> None:
        if case == "fresh":
            state.reset(hosts)
        elif case == "drift":
            state.drift(hosts)

    def _once(self, tool: Tool, inside: list[str], hosts: Sequence[LabHost]) -> Any:
        return once([*inside, *tool.command(hosts)], tool.environment, tool.cwd, tool.good)

    def _compare(self, tool: Tool, cell: Cell, hosts: Sequence[LabHost]) -> None:
        """Every tool must have left what the first one left."""
        for host, print_ in state.fingerprints(hosts).items():
            number = int(host.removeprefix("h"))
            if self._expected.setdefault(number, print_) != print_:
                self.found["differences"].append(f"{cell.name}: {tool.name} left {host} in another state")


@contextlib.contextmanager
def _hosts(lab: Lab, number: int) -> Iterator[list[LabHost]]:
    """Hosts that have what every tool needs, and nothing of the workload; started side by side."""
    with contextlib.ExitStack() as stack, ThreadPoolExecutor(4) as pool:
        hosts = list(pool.map(lambda _: stack.enter_context(lab.host("bookworm", PACKAGES)), range(number)))
        state.reset(hosts)
        yield hosts
