"""The view for a pipe: a line an event, as it happens."""

from __future__ import annotations

import threading
from typing import Any, TextIO

from personaplex_provision.reports.lines import Lines


class Plain:
    """Writes the lines of every event to a stream."""

    def __init__(self, stream: TextIO, lines: Lines) -> None:
        self._stream = stream
        self._lines = lines
        self._lock = threading.Lock()

    def __call__(self, event: dict[str, Any]) -> None:
        with self._lock:
            found = self._lines(event)
            if found:
                self._stream.write("\n".join(found) + "\n")
                self._stream.flush()

    def say(self, text: str) -> None:
        """Writes lines of ours among those of the events."""
        with self._lock:
            self._stream.write(text.rstrip("\n") + "\n")
            self._stream.flush()

    def pause(self) -> None:
        """Nothing to take away before a question."""

    def resume(self) -> None:
        """Nothing to bring back after it."""

    def close(self) -> None:
        """Nothing is held back."""
