"""The view for a pipe: a line an event, as it happens."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any, TextIO

from personaplex_provision.reports.lines import Lines


class Plain:
    """Writes the lines of every event to a stream. When whoever reads it goes away, the run goes on unread."""

    def __init__(self, stream: TextIO, lines: Lines) -> None:
        self._stream = stream
        self._lines = lines
        self._lock = threading.Lock()
        self._unread = False

    def __call__(self, event: dict[str, Any]) -> None:
        self.together([event])

    def together(self, events: Sequence[dict[str, Any]]) -> None:
        """Takes events that came together."""
        with self._lock:
            self._write([line for event in events for line in self._lines(event)])

    def say(self, text: str) -> None:
        """Writes lines of ours among those of the events."""
        with self._lock:
            self._write(text.splitlines())

    def pause(self) -> None:
        """Nothing to take away before a question."""

    def resume(self) -> None:
        """Nothing to bring back after it."""

    def close(self) -> None:
        """Nothing is held back."""

    def _write(self, lines: list[str]) -> None:
        if not lines or self._unread:
            return
        try:
            self._stream.write("\n".join(lines) + "\n")
            self._stream.flush()
        except BrokenPipeError:
            self._unread = True
