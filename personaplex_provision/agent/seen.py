"""What a step has read of paths a moment ago: a kind looks at the same one many times over while it observes."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, Dict, Optional, Tuple

if TYPE_CHECKING:
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

    def holds(self, status: os.stat_result) -> bool:
        """Whether the content of a file like this is held."""
        return status.st_size <= SMALL

    def content(self, path: str, status: os.stat_result) -> Optional[Tuple[bytes, str]]:
        """What the file held, and its digest, where it was not written to since."""
        self._age()
        found = self._contents.get(path)
        return found[1:] if found is not None and found[0] == _mark(status) else None

    def hold_content(self, path: str, status: os.stat_result, data: bytes, sha256: str) -> None:
        """Notes what a file holds that had this status before it was read."""
        if len(self._contents) < _MOST and len(data) <= SMALL:
            self._contents[path] = _mark(status), data, sha256

    def _age(self) -> None:
        now = time.monotonic()
        if now - self._since > LATELY:
            self._entries.clear()
            self._contents.clear()
            self._since = now


def _mark(status: os.stat_result) -> Mark:
    """What a file has another one of as soon as it is written to (a moment of the file system's clock aside)."""
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns
