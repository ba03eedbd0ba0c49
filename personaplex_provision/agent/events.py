"""Events of a run that travel together: a line for each with what hosts that do the same say alike, and last what is
each one's own.

A controller of many hosts reads such a line once, however many of them say it.
"""

from __future__ import annotations

import json
from typing import Any, Dict, Iterable, Iterator, List, Sequence

Event = Dict[str, Any]

ALIKE = frozenset(("plan_task", "task_start", "task_end"))
"Types of the events that travel so; one with a `result` does not: templates may change what they are given of that."
OWN = ("ts", "seconds", "n", "began")
"Fields that differ from host to host. `began`: when the step began that a `task_end` tells of, for two events in one."
_SHARED = ("schema", "run", "host", "task", "name", "kind")
"Fields of the beginning of a step that its end has, too."
ROOM = 8 * 1024 * 1024
"Bytes of lines that are kept, all hosts together."
_TEXT = json.JSONEncoder(separators=(",", ":")).encode


class Heard:
    """Lines that were read before, for all hosts of one command; what they hold must not be changed."""

    def __init__(self) -> None:
        self._events: Dict[bytes, Event] = {}
        self._size = 0

    def read(self, line: bytes) -> Event:
        """The event that a line holds. Raises ValueError."""
        found = self._events.get(line)
        if found is None:
            found = json.loads(line)
            if not isinstance(found, dict):
                raise ValueError("not an event")
            self._size += len(line)
            if self._size > ROOM:
                self._events, self._size = {}, len(line)
            self._events[line] = found
        return found


def alike(message: Event) -> bool:
    """Whether a message travels with others."""
    return message.get("type") in ALIKE and "result" not in message


def pack(events: Sequence[Event]) -> bytes:
    """The events as lines."""
    found = _joined(events)
    lines = [_TEXT({name: value for name, value in one.items() if name not in OWN}) for one in found]
    lines.append(_TEXT([[one.get(name) for name in OWN] for one in found]))
    return "\n".join(lines).encode("ascii")


def _joined(events: Sequence[Event]) -> List[Event]:
    """The events; the beginning of a step and its end, where nothing came in between, as one."""
    found: List[Event] = []
    for one in events:
        last = found[-1] if found else one
        whole = last["type"] == "task_start" and one["type"] == "task_end" and last.get("task") == one.get("task")
        if whole and "ts" in last:
            found[-1] = {**one, "began": last["ts"]}
        else:
            found.append(one)
    return found


def apart(events: Iterable[Event]) -> Iterator[Event]:
    """The events, with the beginning of a step and its end as two."""
    for one in events:
        if "began" in one:
            one = dict(one)
            start: Event = {"type": "task_start", "ts": one.pop("began")}
            start.update((name, one[name]) for name in _SHARED if name in one)
            yield start
        yield one


def unpack(payload: bytes, heard: Heard) -> List[Event]:
    """The events that the lines hold, in order. Raises ValueError."""
    *lines, last = payload.split(b"\n")
    rows = json.loads(last)
    if not lines or not isinstance(rows, list) or len(rows) != len(lines):
        raise ValueError("not as many rows as lines, or none")
    found = []
    for line, row in zip(lines, rows):
        event = dict(heard.read(line))
        for name, value in zip(OWN, row):
            if value is not None:
                event[name] = value
        found.append(event)
    return found
