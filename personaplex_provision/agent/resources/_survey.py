"""A survey of the host's files: which paths there are and what each looks like from outside.

Maintainer scripts write wherever they like. What they made is what a survey after them has and one before them has
not; what they changed is what looks different. Logs, caches and the databases of dpkg and apt are no part of it.
"""

from __future__ import annotations

import os
import stat
from typing import Dict, Iterable, Iterator, List, Set, Tuple, Union

Look = List[Union[int, str]]
"""Mode with the type, uid, gid; for a file size and time of change (ns), for a link its target."""
Survey = Dict[str, Look]

_SKIPPED = {
    "/proc", "/sys", "/dev", "/run", "/tmp", "/mnt", "/media", "/lost+found", "/snap", "/cdrom",
    "/var/log", "/var/cache", "/var/tmp", "/var/run", "/var/snap", "/var/lib/apt", "/var/lib/dpkg",
    "/var/lib/docker", "/var/lib/containerd", "/var/lib/containers", "/var/lib/lxd", "/var/lib/lxc", "/var/lib/snapd",
    "/var/lib/flatpak", "/var/lib/kubelet", "/var/lib/libvirt/images", "/var/lib/machines",
    "/usr/share/doc", "/usr/src",
}  # fmt: skip
_SHALLOW = {"/home": 2, "/root": 2, "/srv": 3, "/opt": 3, "/usr/local": 4}
"""Trees that belong to people: only so many levels of them are looked at."""
_OWN_DISKS = {"/usr", "/var", "/home", "/opt", "/srv", "/boot", "/boot/efi", "/usr/local", "/var/lib", "/root"}
_FLEETING = {"/etc/ld.so.cache", "/etc/mtab", "/etc/.pwd.lock"}


def survey(without: Iterable[str] = ()) -> Survey:
    """Every path outside the skipped trees and `without`."""
    skipped = {*_SKIPPED, *without}
    found: Survey = {}
    todo: List[Tuple[str, int]] = [("/", 1 << 30)]
    device = os.lstat("/").st_dev
    while todo:
        folder, depth = todo.pop()
        depth = _SHALLOW.get(folder, depth)
        for path, status in _inside(folder):
            if path in skipped or path in _FLEETING or path.endswith((".pyc", "/__pycache__")):
                continue
            found[path] = _look(path, status)
            if stat.S_ISDIR(status.st_mode) and depth > 1 and (status.st_dev == device or path in _OWN_DISKS):
                todo.append((path, depth - 1))
    return found


def look(path: str) -> Look:
    """What is at `path`; an empty list when nothing is."""
    try:
        return _look(path, os.lstat(path))
    except OSError:
        return []


def owned_paths(folder: str = "/var/lib/dpkg/info") -> Set[str]:
    """Every path that an installed package brought, by dpkg's lists; on a merged /usr by its place under /usr."""
    merged = {one for one in ("bin", "sbin", "lib", "lib32", "lib64", "libx32") if os.path.islink(f"/{one}")}
    found: Set[str] = set()
    for name in os.listdir(folder):
        if not name.endswith(".list"):
            continue
        with open(os.path.join(folder, name), encoding="utf-8", errors="surrogateescape") as file:
            for line in file:
                path = line.rstrip("\n")
                found.add(f"/usr{path}" if path.split("/", 2)[1:2] and path.split("/", 2)[1] in merged else path)
    return found


def conffiles(names: Iterable[str], folder: str = "/var/lib/dpkg/info") -> List[str]:
    """The configuration files of installed packages, of any architecture."""
    bare, found = {name.split(":")[0] for name in names}, []
    for name in os.listdir(folder):
        if name.endswith(".conffiles") and name[: -len(".conffiles")].split(":")[0] in bare:
            with open(os.path.join(folder, name), encoding="utf-8", errors="surrogateescape") as file:
                found += [line.split()[-1] for line in file if line.strip()]
    return found


def _inside(folder: str) -> Iterator[Tuple[str, os.stat_result]]:
    try:
        with os.scandir(folder) as items:
            for item in items:
                try:
                    yield item.path, item.stat(follow_symlinks=False)
                except OSError:
                    continue  # a running host removes files too
    except OSError:
        return


def _look(path: str, status: os.stat_result) -> Look:
    found: Look = [status.st_mode, status.st_uid, status.st_gid]
    if stat.S_ISREG(status.st_mode):
        return [*found, status.st_size, status.st_mtime_ns]
    if stat.S_ISLNK(status.st_mode):
        try:
            return [*found, os.readlink(path)]
        except OSError:
            return found
    return found
