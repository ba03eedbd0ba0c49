"""What travels of a graph: its tasks, and the contents that are small; larger ones are sent when a task needs them.

It is JSON text from the start, so that what many hosts have in common is written once.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from personaplex_provision.agent.protocol import Ready
from personaplex_provision.agent.task import Task
from personaplex_provision.planning.contents import blobs_in
from personaplex_provision.planning.graph import Graph

INLINE = 64 * 1024
"Bytes up to which a content travels with the graph."
_ENCODER = json.JSONEncoder(separators=(",", ":"))
_Sent = tuple[str, dict[str, str]]
"""The text of a task, and the texts of its contents by sha256."""


def inline(tasks: Iterable[Task], blobs: Mapping[str, bytes]) -> dict[str, str]:
    """sha256 -> text of the small contents that the tasks name."""
    found = {}
    for task in tasks:
        for sha256 in blobs_in(task.params):
            data = blobs.get(sha256)
            if data is not None and len(data) <= INLINE and b"\0" not in data:
                found[sha256] = data.decode("utf-8", "surrogateescape")
    return found


def written(tasks: Iterable[Task], graph: Graph, blobs: Mapping[str, bytes]) -> dict[str, Any]:
    """`tasks` of a graph and their `contents`, ready to be sent."""
    if graph.first is None:
        tasks = list(tasks)
        return {"tasks": [one.to_json() for one in tasks], "contents": inline(tasks, blobs)}
    common, texts = graph.first.tasks, graph.texts
    found, contents = [], dict[str, str]()
    for task in tasks:
        address = task.address
        kept = texts.get(address)
        if kept is not None and kept[0] is task:
            text, own = kept[1]
        else:
            text, own = sent = _written(task, blobs)
            if common.get(address) is task:
                texts[address] = (task, sent)
        found.append(text)
        if own:
            contents.update(own)
    inside = ",".join([f'"{sha256}":{text}' for sha256, text in contents.items()])
    return {"tasks": Ready(f"[{','.join(found)}]"), "contents": Ready(f"{{{inside}}}")}


def _written(task: Task, blobs: Mapping[str, bytes]) -> _Sent:
    contents = inline([task], blobs)
    return _ENCODER.encode(task.to_json()), {name: _ENCODER.encode(text) for name, text in contents.items()}
