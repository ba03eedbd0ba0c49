"""A host's graph as text, DOT, Mermaid or JSON. Joins are drawn as what they are: the end of a loop or block."""

from __future__ import annotations

import json
from collections.abc import Callable

from personaplex_provision.agent.task import Task
from personaplex_provision.planning.graph import LISTED, Graph
from personaplex_provision.planning.order import critical_path, order


def text(graph: Graph, host: str = "") -> str:
    """One line a task in the order of running, below it what it comes after and why."""
    path, length = critical_path(graph)
    longest = set(path)
    size = f"{len(graph.tasks)} tasks, {graph.edges.number_of_edges()} edges"
    lines = [f"{host + ': ' if host else ''}{size}, longest chain {length:g} tasks (marked *)"]
    for address in order(graph):
        task = graph.tasks[address]
        lines.append(f"{'*' if address in longest else ' '} {_title(task)}")
        for before in graph.before(address):
            lines.append(f"      after {_title(graph.tasks[before])}: {'; '.join(graph.reasons(before, address))}")
    return "\n".join(lines) + "\n"


def dot(graph: Graph, host: str = "") -> str:
    """For Graphviz; edges of the mere order of the list are dotted."""
    lines = [f"digraph {_quote(host or 'tasks')} {{", "  rankdir=LR;", "  node [shape=box];"]
    names = _names(graph)
    for address, task in graph.tasks.items():
        shape = "" if task.kind else ", shape=point, xlabel=" + _quote(task.name or address)
        lines.append(f"  {names[address]} [label={_quote(_title(task))}{shape}];")
    for address in graph.tasks:
        for before in graph.before(address):
            reasons = graph.reasons(before, address)
            style = ", style=dotted" if reasons == [LISTED] else ""
            lines.append(f"  {names[before]} -> {names[address]} [label={_quote('; '.join(reasons))}{style}];")
    return "\n".join([*lines, "}"]) + "\n"


def mermaid(graph: Graph, host: str = "") -> str:
    """For Mermaid (`flowchart`)."""
    names = _names(graph)
    lines = [f"%% {host}"] if host else []
    lines.append("flowchart LR")
    for address, task in graph.tasks.items():
        left, right = ("[", "]") if task.kind else ("((", "))")
        lines.append(f"  {names[address]}{left}{_escape(_title(task))}{right}")
    for address in graph.tasks:
        for before in graph.before(address):
            reasons = graph.reasons(before, address)
            arrow = "-.->" if reasons == [LISTED] else "-->"
            lines.append(f"  {names[before]} {arrow}|{_escape('; '.join(reasons))}| {names[address]}")
    return "\n".join(lines) + "\n"


def as_json(graph: Graph, host: str = "") -> str:
    """One object: `host`, `tasks` (each with `after`: a list of `{"task", "reasons"}`) and `critical_path`."""
    tasks = []
    for address in order(graph):
        task = graph.tasks[address]
        after = [{"task": one, "reasons": graph.reasons(one, address)} for one in graph.before(address)]
        tasks.append({"address": address, "name": task.name, "kind": task.kind, "position": task.position,
                      "after": after})
    found = {"host": host, "tasks": tasks, "critical_path": critical_path(graph)[0]}
    return json.dumps(found, ensure_ascii=False) + "\n"


FORMATS: dict[str, Callable[[Graph, str], str]] = {"text": text, "dot": dot, "mermaid": mermaid, "json": as_json}
"`--format` of `provision graph`."


def _names(graph: Graph) -> dict[str, str]:
    return {address: f"t{number}" for address, number in graph.place.items()}


def _title(task: Task) -> str:
    name = task.name or task.address
    return f"{name} ({task.kind})" if task.kind else name


def _quote(value: str) -> str:
    escaped = value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'


def _escape(value: str) -> str:
    """Text for Mermaid, in which quotes and brackets have meanings."""
    return '"' + value.replace("#", "#35;").replace('"', "#quot;").replace("<", "#lt;").replace("\n", " ") + '"'
