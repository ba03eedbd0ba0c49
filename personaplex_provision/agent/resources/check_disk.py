"""The `check_disk` kind."""

from __future__ import annotations

import os
from typing import Any, Dict, Iterator

from personaplex_provision.agent.host import Host
from personaplex_provision.agent.record import dataclass
from personaplex_provision.agent.resources._check import Check, Matcher

EXAMPLE = """
- name: there is space for the model
  check_disk:
    path: /home/alex/.cache
    free_gib: {ge: 40}
"""


@dataclass
class CheckDisk(Check):
    """The file system a path is on, or would be on once it exists."""

    kind = "check_disk"
    free_form = "path"
    matched = ("free_gib", "size_gib", "used_percent", "free_inodes", "filesystem")

    path: str
    "The path; where it does not exist yet, the directory that does."
    free_gib: Matcher | None = None
    "Space that an ordinary user may still fill, in GiB."
    size_gib: Matcher | None = None
    "Size of the file system in GiB."
    used_percent: Matcher | None = None
    "How full it is."
    free_inodes: Matcher | None = None
    "How many more files it can hold."
    filesystem: Matcher | None = None
    "Its type (`ext4`, `9p` …)."

    def validate(self) -> Iterator[str]:
        yield from super().validate()
        if not self.path.startswith(("/", "~")):
            yield "path must be absolute"

    def title(self) -> str:
        return f"the file system of {self.path}"

    def look(self, host: Host) -> Dict[str, Any]:
        at = host.expand(self.path)
        while not os.path.exists(at) and at != "/":
            at = os.path.dirname(at.rstrip("/")) or "/"
        found = os.statvfs(at)
        size, free = found.f_blocks * found.f_frsize, found.f_bavail * found.f_frsize
        used = size - found.f_bfree * found.f_frsize
        mount, kind = _mount(os.path.realpath(at))
        return {
            "free_gib": _gib(free), "size_gib": _gib(size), "used_percent": round(100 * used / max(used + free, 1), 1),
            "free_inodes": found.f_favail, "mount": mount, "filesystem": kind,
        }

    def advice(self, field: str, found: Dict[str, Any]) -> str:
        if field in ("free_gib", "used_percent"):
            return f"make room on {found['mount']} (`du -xh --max-depth=2 {found['mount']} | sort -h | tail`)"
        return ""


def _gib(size: float) -> float:
    return round(size / (1 << 30), 2)


def _mount(path: str) -> tuple[str, str]:
    """Mount point and type of the file system that holds a path."""
    best = ("/", "")
    with open("/proc/mounts", encoding="utf-8", errors="replace") as file:
        for line in file:
            _, mount, kind = line.split()[:3]
            mount = mount.replace("\\040", " ")
            inside = path == mount or path.startswith(mount.rstrip("/") + "/")
            if inside and len(mount) >= len(best[0]):
                best = (mount, kind)
    return best
