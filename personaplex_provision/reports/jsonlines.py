"""Events as JSON lines, one object a line, in the order in which they happened."""

from __future__ import annotations

import json
import threading
from typing import Any, TextIO

_FIRST = ("schema", "ts", "run", "type", "host", "task", "kind")
"Keys that every line begins with, where the event has them."


class JsonLines:
    """Writes every event to a stream at once. When whoever reads it goes away, the run goes on unread."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._lock = threading.Lock()
        self._unread = False

    def __call__(self, event: dict[str, Any]) -> None:
        line = encode(event)
        with self._lock:
            if self._unread:
                return
            try:
                self._stream.write(line)
                self._stream.flush()
            except BrokenPipeError:
                self._unread = True

    def close(self) -> None:
        """Nothing is held back, so nothing is left to write."""


def encode(event: dict[str, Any]) -> str:
    """The line of an event; what cannot be JSON is written as text."""
    ordered = {key: event[key] for key in _FIRST if key in event}
    ordered |= {key: item for key, item in event.items() if key not in ordered}
    return json.dumps(ordered, ensure_ascii=True, separators=(",", ":"), default=str) + "\n"
