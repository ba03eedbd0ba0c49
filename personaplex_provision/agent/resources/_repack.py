"""A .deb made from an installed package, for the way back when no source offers its version any more.

Source: deb(5), deb-control(5), dpkg's info directory. Configuration files go in as they are on the host.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
from typing import Dict, Iterable, List

_INFO = "/var/lib/dpkg/info"
_STATUS = "/var/lib/dpkg/status"
_OF_STATUS = ("Status", "Conffiles", "Config-Version", "Triggers-Pending", "Triggers-Awaited")
_ALIASED = ("/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32")
_ROOM = 0.5
"""The share of the free space that packages made anew may take."""


def repack(name: str, folder: str) -> str:
    """Makes `NAME_VERSION_ARCH.deb` of an installed package in `folder`; returns its path, or nothing on failure."""
    control = _control(name)
    if not control:
        return ""
    fields = dict(line.split(": ", 1) for line in control.splitlines() if ": " in line and not line.startswith(" "))
    stem = _stem(name, fields["Architecture"])
    if not stem:
        return ""
    tree = os.path.join(folder, f".{fields['Package']}.tree")
    shutil.rmtree(tree, ignore_errors=True)
    os.makedirs(os.path.join(tree, "DEBIAN"), mode=0o755)
    os.chmod(tree, 0o755)
    _fill(tree, stem, fields["Package"])
    for one in os.listdir(_INFO):
        if one.startswith(f"{stem}.") and not one.endswith(".list"):
            shutil.copy2(f"{_INFO}/{one}", f"{tree}/DEBIAN/{one[len(stem) + 1 :]}")
    with open(f"{tree}/DEBIAN/control", "w", encoding="utf-8") as file:
        file.write(control)
    version = fields["Version"].replace(":", "%3a")
    path = os.path.join(folder, f"{fields['Package']}_{version}_{fields['Architecture']}.deb")
    done = subprocess.run(["dpkg-deb", "-Zgzip", "-z1", "-b", tree, path], capture_output=True, check=False)
    shutil.rmtree(tree, ignore_errors=True)
    return path if done.returncode == 0 else ""


def installed_size(names: Iterable[str]) -> int:
    """Bytes that installed packages take, by what they say themselves; a .deb of them takes less."""
    size = 0
    for name in names:
        found = [line for line in _control(name).splitlines() if line.startswith("Installed-Size: ")]
        size += int(found[0].split()[1]) * 1024 if found else 0
    return size


def room_for(names: Iterable[str], folder: str) -> bool:
    """Whether the disk has room to keep these packages."""
    size = installed_size(names)
    while not os.path.isdir(folder):
        folder = os.path.dirname(folder)
    return size < shutil.disk_usage(folder).free * _ROOM


def _control(name: str) -> str:
    """The control file of an installed package, as dpkg's status has it."""
    bare, _, architecture = name.partition(":")
    with open(_STATUS, encoding="utf-8", errors="surrogateescape") as file:
        for stanza in file.read().split("\n\n"):
            if not stanza.startswith(f"Package: {bare}\n") or " installed\n" not in stanza:
                continue
            if architecture and f"\nArchitecture: {architecture}\n" not in stanza:
                continue
            return "".join(f"{field}\n" for field in _fields(stanza) if field.split(":")[0] not in _OF_STATUS)
    return ""


def _fields(stanza: str) -> List[str]:
    """The fields of a stanza, each with its continuation lines."""
    found: List[str] = []
    for line in stanza.splitlines():
        if line.startswith((" ", "\t")) and found:
            found[-1] += f"\n{line}"
        else:
            found.append(line)
    return found


def _stem(name: str, architecture: str) -> str:
    """How dpkg names the files it keeps about a package."""
    bare = name.split(":")[0]
    return next((one for one in (f"{bare}:{architecture}", bare) if os.path.exists(f"{_INFO}/{one}.list")), "")


def _fill(tree: str, stem: str, package: str) -> None:
    moved = _diverted(package)
    with open(f"{_INFO}/{stem}.list", encoding="utf-8", errors="surrogateescape") as file:
        paths = [line.rstrip("\n") for line in file]
    for path in paths:
        here, there = moved.get(path, path), tree + path
        if path in ("/.", "") or not os.path.lexists(here):
            continue
        status = os.lstat(here)
        if path in _ALIASED or (os.path.isdir(here) and not os.path.islink(here)):
            os.makedirs(there, exist_ok=True)
            mode = 0o755 if path in _ALIASED else status.st_mode & 0o7777
            os.chown(there, status.st_uid, status.st_gid)
            os.chmod(there, mode)
            continue
        os.makedirs(os.path.dirname(there), exist_ok=True)
        try:
            os.link(here, there, follow_symlinks=False)
        except OSError:
            shutil.copy2(here, there, follow_symlinks=False)
            with contextlib.suppress(OSError):
                os.lchown(there, status.st_uid, status.st_gid)
            if not os.path.islink(there):
                os.chmod(there, status.st_mode & 0o7777)


def _diverted(package: str) -> Dict[str, str]:
    """Where files of the package are that another one's take the place of."""
    try:
        with open("/var/lib/dpkg/diversions", encoding="utf-8", errors="surrogateescape") as file:
            rows = file.read().splitlines()
    except OSError:
        return {}
    return {rows[at]: rows[at + 1] for at in range(0, len(rows) - 2, 3) if rows[at + 2] != package}
