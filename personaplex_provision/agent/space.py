"""The room that applying a plan takes on each file system, and whether it is there.

It is added up in the order in which tasks are planned: the image of what is replaced, then what takes its place; what
was there is freed only after that. So the sum is what the worst moment of the run takes. Nothing is asked of a file
system on which nothing is pending.
"""

from __future__ import annotations

import os
import stat
from typing import Any, Dict, List, Set, Tuple

from personaplex_provision.agent.record import dataclass

_BLOCK = 4096
"""Bytes in which file systems hand out room."""
_CLONING = ("btrfs", "bcachefs")
"""File systems on which a copy shares its blocks with the original. XFS may: there the numbers are an upper bound."""


@dataclass
class _Mount:
    """What is taken of one file system, in bytes: `held` at the moment, `needed` at the worst one."""

    path: str
    held: int = 0
    needed: int = 0
    images: int = 0
    open: bool = False
    "Whether more comes whose size nobody knows before."

    def take(self, size: int) -> None:
        self.held += size
        self.needed = max(self.needed, self.held)


class Space:
    """What one plan takes, by file system."""

    def __init__(self) -> None:
        self._mounts: Dict[int, _Mount] = {}
        self._kept: Set[str] = set()

    def write(self, path: str, size: int, frees: int = 0) -> None:
        """`size` bytes come to be at `path`, and then `frees` bytes that were there go."""
        mount = self._mount(path)
        mount.take(_blocks(size))
        mount.held -= _blocks(frees)

    def unknown(self, path: str) -> None:
        """Something comes to be at `path` whose size is not known."""
        self._mount(path).open = True

    def image(self, root: str, size: int) -> None:
        """`size` bytes are kept in the state directory `root` for the way back."""
        mount = self._mount(root)
        mount.take(_blocks(size))
        mount.images += _blocks(size)

    def keep(self, root: str, path: str, whole: bool = False, link: bool = False) -> int:
        """The image of what is at `path` is kept in `root`; returns how many bytes of it are copied.

        None are where hard links or renames (`link`) or shared blocks do it, or where it was kept before.
        """
        if path in self._kept:
            return 0
        self._kept.add(path)
        try:
            status = os.lstat(path)
        except OSError:
            return 0
        folder = stat.S_ISDIR(status.st_mode)
        if not (stat.S_ISREG(status.st_mode) or (folder and whole)):
            return 0
        same = status.st_dev == _device(root)
        if same and ((link and folder) or _clones(self._mount(root).path)):
            return 0
        size = _tree_size(path) if folder else status.st_size
        self.image(root, size)
        return size

    def report(self) -> List[Dict[str, Any]]:
        """A file system a row: `mount`, and in bytes `needed`, `images` (the part of it for the way back), `free`.

        `open` is there where more comes of a size that is not known.
        """
        found = []
        for mount in sorted(self._mounts.values(), key=lambda one: one.path):
            if not mount.needed:
                continue
            row: Dict[str, Any] = {
                "mount": mount.path, "needed": mount.needed, "images": mount.images, "free": free(mount.path),
            }
            found.append({**row, "open": True} if mount.open else row)
        return found

    def _mount(self, path: str) -> _Mount:
        device = _device(path)
        if device not in self._mounts:
            self._mounts[device] = _Mount(mount_point(path))
        return self._mounts[device]


def shortage(rows: List[Dict[str, Any]]) -> Dict[str, str]:
    """`summary`, `detail` and `hint` where a plan does not fit, by the rows of `Space.report`; else empty."""
    short = [one for one in rows if one["needed"] > one["free"]]
    if not short:
        return {}
    lines = [
        f"{said(one)}; {human(one['free'])} are free, {human(one['needed'] - one['free'])} are missing"
        for one in short
    ]
    names = ", ".join(one["mount"] for one in short)
    return {
        "summary": f"there is not enough room on {names}: nothing was changed", "detail": "\n".join(lines),
        "hint": "make room there (`df -h`; `provision runs prune` lets go of what old runs kept), then run it again",
    }


def said(row: Dict[str, Any]) -> str:
    """`needs at least 1.2 GB on /, 300 MB of it for the way back`."""
    text = f"needs {'at least ' * bool(row.get('open'))}{human(row['needed'])} on {row['mount']}"
    return text + (f", {human(row['images'])} of it for the way back" if row["images"] else "")


def human(size: float) -> str:
    """A size in bytes as people read it, in steps of 1000 as apt's."""
    for unit in ("B", "kB", "MB"):
        if size < 1000:
            return f"{size:.0f} {unit}" if size >= 10 or unit == "B" else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} GB"


def free(path: str) -> int:
    """Bytes that are free for everyone, root's reserve left alone."""
    found = os.statvfs(path)
    # What has no blocks at all is none of storage: a setting of the kernel in /proc takes no room.
    return found.f_bavail * found.f_frsize if found.f_blocks else 1 << 62


def _blocks(size: int) -> int:
    return -(-size // _BLOCK) * _BLOCK


def _existing(path: str) -> Tuple[str, int]:
    """The path, or the first one above it that is there, and the device it is on."""
    path = os.path.abspath(path)
    while True:
        try:
            return path, os.stat(path).st_dev
        except OSError:
            if path == "/":
                raise
            path = os.path.dirname(path)


def _device(path: str) -> int:
    return _existing(path)[1]


def mount_point(path: str) -> str:
    """Where the file system is mounted that a path is on, or would be on once it exists."""
    path = os.path.realpath(_existing(path)[0])
    device = os.stat(path).st_dev
    while path != "/" and os.stat(os.path.dirname(path)).st_dev == device:
        path = os.path.dirname(path)
    return path


def _clones(mount: str) -> bool:
    try:
        with open("/proc/self/mounts", encoding="utf-8", errors="surrogateescape") as file:
            rows = [line.split() for line in file]
    except OSError:
        return False
    types = [row[2] for row in rows if len(row) > 2 and row[1] == mount]
    return bool(types) and types[-1] in _CLONING


def _tree_size(top: str) -> int:
    size = 0
    for folder, _, files in os.walk(top):
        for name in files:
            try:
                status = os.lstat(os.path.join(folder, name))
            except OSError:
                continue  # a running host removes files too
            size += _blocks(status.st_size) if stat.S_ISREG(status.st_mode) else 0
    return size
