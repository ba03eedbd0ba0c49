"""The fingerprint of a host: every file that a person would miss or find surplus, and what it is.

Packages are in it by name, beside the files. Two fingerprints of one host are equal exactly when it was put back.
Times are no part of it.
"""

from __future__ import annotations

import hashlib
import os
import re
import stat
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from .packages import packages

EXCLUDED = (
    # Made anew by the kernel and systemd at each boot.
    r"/(proc|sys|dev|run|tmp)/.*",
    r"/var/tmp/systemd-private-.*",
    # Logs tell what happened; a rollback that shortened them would falsify them.
    r"/var/log/.*",
    # Caches: whatever is missing is made again, whatever is surplus is ignored.
    r"/var/cache/.*",
    r"(/root|/home/[^/]+)/\.cache(/.*)?",
    r".*/__pycache__(/.*)?",
    r".*\.pyc",
    r"/etc/ld\.so\.cache",
    # The package database: files of its own making, old copies, locks. What it says, which packages are there in which
    # version and state and why, is in the fingerprint as one entry a package (packages.py).
    r"/var/lib/dpkg/(status|status-old|available|lock|lock-frontend|diversions-old|statoverride-old)",
    r"/var/lib/dpkg/(info|triggers|updates)(/.*)?",
    r"/var/lib/apt/extended_states",
    r"/var/lib/apt/(lists|mirrors|periodic)(/.*)?",
    # ucf's rotated copies of its database before each change; the database itself counts.
    r"/var/lib/ucf/(hashfile|registry)\.[0-9]+",
    # What systemd writes for itself: when a timer last ran, entropy, the message catalogue, leases.
    r"/var/lib/systemd/(timers|random-seed|catalog|coredump|network|rfkill)(/.*)?",
    # shadow's backups hold the state before the last change: after a rollback, the state that was rolled back.
    r"/etc/(passwd|group|shadow|gshadow|subuid|subgid)-",
    r"/etc/\.pwd\.lock",
    # What the engine keeps so that it can roll back.
    r"/var/lib/provision(/.*)?",
)
"""Paths (whole, as regular expressions) that say nothing about the state a person asked for. Everything else counts."""

_EXCLUDED = re.compile("|".join(f"(?:{pattern})" for pattern in EXCLUDED))
_SETTLED = 2.0  # seconds after which a file that was written again has a new change time for certain


class Entry(NamedTuple):
    """One path, or one package."""

    kind: str
    "`file`, `directory`, `link`, `fifo`, `socket`, `character`, `block` or `package`."
    mode: int
    "Permission bits."
    owner: int
    group: int
    content: str
    "SHA-256 of a file, target of a link, number of a device, version and state of a package."
    attributes: tuple[tuple[str, str], ...]
    "Extended attributes, the overlay's own aside."


Fingerprint = dict[str, Entry]


class Fingerprinter:
    """Takes fingerprints of one root directory; hashes a file again only when it was changed."""

    def __init__(self) -> None:
        self._hashes: dict[tuple[str, int, int, int], str] = {}

    def of(self, root: Path, below: Sequence[str] = ("",)) -> Fingerprint:
        """The fingerprint of the file system under `root`, or only of what is in some of its directories (`/etc`)."""
        found = {f"package {name}": Entry("package", 0, 0, 0, said, ()) for name, said in packages(root).items()}
        todo = list(below)
        while todo:
            directory = todo.pop()
            for item in os.scandir(f"{root}{directory}"):
                path = f"{directory}/{item.name}"
                if _EXCLUDED.fullmatch(path):
                    continue
                try:
                    status = item.stat(follow_symlinks=False)
                    found[path] = self._entry(f"{root}{path}", path, status)
                except FileNotFoundError:
                    continue  # a running host removes files too
                if stat.S_ISDIR(status.st_mode):
                    todo.append(path)
        return found

    def _entry(self, real: str, path: str, status: os.stat_result) -> Entry:
        kind, content = "", ""
        mode = status.st_mode
        if stat.S_ISREG(mode):
            kind, content = "file", self._hash(real, path, status)
        elif stat.S_ISLNK(mode):
            kind, content = "link", os.readlink(real)
        elif stat.S_ISDIR(mode):
            kind = "directory"
        elif stat.S_ISBLK(mode) or stat.S_ISCHR(mode):
            kind = "block" if stat.S_ISBLK(mode) else "character"
            content = f"{os.major(status.st_rdev)}:{os.minor(status.st_rdev)}"
        else:
            kind = "fifo" if stat.S_ISFIFO(mode) else "socket"
        return Entry(kind, stat.S_IMODE(mode), status.st_uid, status.st_gid, content, _attributes(real))

    def _hash(self, real: str, path: str, status: os.stat_result) -> str:
        key = (path, status.st_ino, status.st_size, status.st_ctime_ns)
        known = self._hashes.get(key)
        if known is None:
            with open(real, "rb") as file:
                known = hashlib.sha256(file.read()).hexdigest()
            if time.time() - status.st_ctime > _SETTLED:
                self._hashes[key] = known
        return known


def difference(before: Fingerprint, after: Fingerprint) -> list[str]:
    """What is not the same in two fingerprints, a line a path: `+` new, `-` gone, `~` changed and how."""
    lines = []
    for path in sorted(before.keys() | after.keys()):
        old, new = before.get(path), after.get(path)
        if old is None:
            lines.append(f"+ {path} {_words(after[path])}")
        elif new is None:
            lines.append(f"- {path} {_words(old)}")
        elif old != new:
            pairs = zip(Entry._fields, old, new, strict=True)
            changed = [f"{name} {_word(name, a)} -> {_word(name, b)}" for name, a, b in pairs if a != b]
            lines.append(f"~ {path} {', '.join(changed)}")
    return lines


def _attributes(real: str) -> tuple[tuple[str, str], ...]:
    names = os.listxattr(real, follow_symlinks=False)
    return tuple(
        (name, os.getxattr(real, name, follow_symlinks=False).hex())
        for name in sorted(names)
        if not name.startswith("trusted.overlay.")
    )


def _words(entry: Entry) -> str:
    return " ".join(str(_word(name, value)) for name, value in zip(Entry._fields, entry, strict=True) if value != ())


def _word(name: str, value: object) -> object:
    if name == "mode" and isinstance(value, int):
        return f"{value:04o}"
    return value[:12] if name == "content" and isinstance(value, str) and len(value) == 64 else value
