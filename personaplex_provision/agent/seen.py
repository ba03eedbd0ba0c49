"""What a step has read of paths a moment ago: a kind looks at the same one many times over while it observes."""

from __future__ import annotations

import time
from typing import Any, Dict, Optional, Tuple

from personaplex_provision.agent.machine import Entry

LATELY = 0.02
"Seconds for which it holds: whoever waits for a path to change soon sees that it did."
SMALL = 256 * 1024
"Bytes up to which a content is held."
_MOST = 64
"Contents and entries that are held."

Mark = Tuple[int, int, int, int, int]


class Seen:
    """Holds what was read while the host is only looked at; dropped whole before anything is changed."""

    __slots__ = ("_contents", "_entries", "_since")

    def __init__(self) -> None:
        self._since = time.monotonic()
        self._entries: Dict[Tuple[str, bool], Entry] = {}
        self._contents: Dict[str, Tuple[Mark, bytes, str]] = {}

    def entry(self, path: str, follow: bool) -> Optional[Entry]:
        """What was at the path."""
        self._age()
        return self._entries.get((path, follow))

    def hold(self, path: str, follow: bool, entry: Entry) -> None:
        """Notes what is at the path; where that is no link, it is the same for who follows links."""
        if len(self._entries) < _MOST:
            self._entries[path, follow] = entry
            if not follow and entry.type != "link":
                self._entries[path, True] = entry

    def content(self, path: str, mark: Mark) -> Optional[Tuple[bytes, str]]:
        """What the file held, and its digest, where it still has the mark that it had then."""
        self._age()
        found = self._contents.get(path)
        return found[1:] if found is not None and found[0] == mark else None

    def hold_content(self, path: str, mark: Mark, data: bytes, sha256: str) -> None:
        """Notes what a file holds."""
        if len(self._contents) < _MOST:
            self._contents[path] = mark, data, sha256

    def _age(self) -> None:
        now = time.monotonic()
        if now - self._since > LATELY:
            self._entries.clear()
            self._contents.clear()
            self._since = now


def mark_of(status: Any) -> Mark:
    """What a file has another one of as soon as it is written to (a moment of the file system's clock aside)."""
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns
