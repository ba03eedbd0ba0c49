"""Digests of large files, kept for as long as nothing can have happened to the file.

A model of many gigabytes would else be read whole by every plan. What is kept is trusted only where it cannot lie: the
file has the same device, inode, size, time of modification and time of change as when it was read, and lies on a file
system of this kernel that gives every write a new time of change, which nobody can set. Two gaps are closed when a file
is read: what a program has mapped and written to is put on the disk first, so that its next write is noticed (the
kernel's Documentation/filesystems/locking.rst, page_mkwrite), and a file that was changed in this very tick of the
clock is left alone until the next.
"""

from __future__ import annotations

import json
import os
import threading
import time
from typing import Any, Callable, Dict, List, Tuple

from personaplex_provision.agent.look import digest_of

_MOST = 500
"Files that are kept."
_TICK_NS = 25_000_000
"More than one tick of the clock that files get their times from."
_DISKS = ("ext2", "ext3", "ext4", "xfs", "btrfs", "f2fs")

Mark = List[int]
"""Device, inode, size in bytes, time of modification and of change in nanoseconds."""


def on_disk(device: int) -> bool:
    """Whether a device is a file system that tells every change; False for those that this cannot be said of."""
    number = f"{os.major(device)}:{os.minor(device)}"
    with open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape") as file:
        for line in file:
            if line.split(" ", 3)[2] == number:
                return line.partition(" - ")[2].split(" ", 1)[0] in _DISKS
    return False


class Known:
    """The digests that are known; `path` is where they outlive the process. Safe to share between threads."""

    def __init__(self, path: str, trusted: Callable[[int], bool] = on_disk) -> None:
        self.path = path
        self._trusted = trusted
        self._lock = threading.Lock()
        self._fresh = False
        self._found: Dict[str, Tuple[Mark, str]] = _read(path)

    def digest(self, path: str) -> Tuple[str, int]:
        """The sha256 and the size in bytes of a file's content. Raises as `digest_of`."""
        mark = mark_of(path)
        with self._lock:
            known = self._found.get(path)
        if known is not None and known[0] == mark and self._trusted(mark[0]):
            return known[1], mark[2]
        if not self._trusted(mark[0]) or not _settle(path):
            return digest_of(path)
        mark = mark_of(path)
        sha256, size = digest_of(path)
        if mark_of(path) == mark:
            with self._lock:
                self._found[path] = mark, sha256
                self._fresh = True
        return sha256, size

    def save(self) -> None:
        """Keeps what was learnt, for the next connection. Raises OSError."""
        from personaplex_provision.agent.store import Making

        with self._lock:
            if not self._fresh:
                return
            there = {path: found for path, found in self._found.items() if os.path.exists(path)}
            text = json.dumps(dict(list(there.items())[-_MOST:]))
            self._fresh = False
        beside = f"{self.path}.new"
        if os.path.exists(beside):
            os.unlink(beside)
        with Making(beside, self.path) as file:
            file.write(text.encode("utf-8", "surrogateescape"))
        os.replace(beside, self.path)


def mark_of(path: str) -> Mark:
    """What is another one as soon as the file is written to, or another file is at the path."""
    found = os.stat(path)
    return [found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns]


def _settle(path: str) -> bool:
    """Sees to it that every later write changes the file's time; False where that cannot be had."""
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
        left = os.fstat(fd).st_ctime_ns + _TICK_NS - time.time_ns()
    except OSError:
        return False
    finally:
        os.close(fd)
    if left > _TICK_NS:
        return False  # changed in the future: the clock was set back
    time.sleep(max(left, 0) / 1e9)
    return True


def _read(path: str) -> Dict[str, Tuple[Mark, str]]:
    try:
        with open(path, encoding="utf-8", errors="surrogateescape") as file:
            found: Dict[str, Any] = json.load(file)
        return {name: (list(map(int, mark)), str(sha256)) for name, (mark, sha256) in found.items()}
    except (OSError, ValueError, TypeError, AttributeError):
        return {}  # gone or damaged: they are made again
