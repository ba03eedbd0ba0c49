"""The contents that travel with a graph: those that are small; larger ones are sent when a task needs them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from personaplex_provision.agent.task import Task
from personaplex_provision.planning.contents import blobs_in

INLINE = 64 * 1024
"Bytes up to which a content travels with the graph."


def inline(tasks: Iterable[Task], blobs: Mapping[str, bytes]) -> dict[str, str]:
    """sha256 -> text of the small contents that the tasks name."""
    found = {}
    for task in tasks:
        for sha256 in blobs_in(task.params):
            data = blobs.get(sha256)
            if data is not None and len(data) <= INLINE and b"\0" not in data:
                found[sha256] = data.decode("utf-8", "surrogateescape")
    return found
