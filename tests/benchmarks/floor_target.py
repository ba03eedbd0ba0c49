"""What the floor sends to a host: standard library only, checks or writes the 184 resources, prints what it changed.

It takes the shortest way that is still right: no journal, no way back, no look at what a change would be.
"""

from __future__ import annotations

import grp
import os
import pwd
import stat
import subprocess
from typing import Any


def main(want: dict[str, Any]) -> int:
    """How many of the resources were changed."""
    count = 0
    for path in want["directories"]:
        if not os.path.isdir(path):
            os.makedirs(path)
            count += 1
        count += mode(path, 0o755)
    for path, text in want["files"]:
        count += content(path, text)
    count += lines(want["lines_path"], want["lines"], [])
    count += lines(want["ini_path"], want["options"], want["ini_before"])
    count += group(*want["group"]) + sum(user(name, uid, want["group"]) for name, uid in want["users"])
    for path, target in want["links"]:
        if not os.path.islink(path) or os.readlink(path) != target:
            os.symlink(target, path)
            count += 1
    with open("/var/lib/dpkg/status", encoding="utf-8") as file:
        status = "\n" + file.read()
    for name in want["packages"]:
        at = status.find(f"\nPackage: {name}\n")
        if "Status: install ok installed" not in status[at:status.find("\n\n", at)]:
            subprocess.run(["apt-get", "install", "-y", name], check=True, stdout=subprocess.DEVNULL)
            count += 1
    count += service("bench.service")
    for path in want["made"]:
        if not os.path.exists(path):
            subprocess.run(["touch", path], check=True)
            count += 1
    return count


def mode(path: str, bits: int) -> int:
    if stat.S_IMODE(os.stat(path).st_mode) == bits:
        return 0
    os.chmod(path, bits)
    return 1


def content(path: str, text: str) -> int:
    try:
        with open(path, encoding="utf-8") as file:
            if file.read() == text:
                return mode(path, 0o644)
    except FileNotFoundError:
        pass
    with open(f"{path}.new", "w", encoding="utf-8") as file:
        file.write(text)
        os.fchmod(file.fileno(), 0o644)
        file.flush()
        os.fsync(file.fileno())
    os.replace(f"{path}.new", path)
    return 1


def lines(path: str, wanted: list[list[str]], before: list[str]) -> int:
    try:
        with open(path, encoding="utf-8") as file:
            found = file.read().splitlines()
    except FileNotFoundError:
        found = list(before)
    old = list(found)
    for start, line in wanted:
        at = next((n for n, one in enumerate(found) if one.startswith(start)), None)
        if at is None:
            found.append(line)
        else:
            found[at] = line
    return content(path, "".join(f"{one}\n" for one in found)) if found != old else mode(path, 0o644)


def group(name: str, gid: int) -> int:
    try:
        if grp.getgrnam(name).gr_gid == gid:
            return 0
    except KeyError:
        subprocess.run(["groupadd", "-g", str(gid), name], check=True)
        return 1
    subprocess.run(["groupmod", "-g", str(gid), name], check=True)
    return 1


def user(name: str, uid: int, group_of: list[Any]) -> int:
    words = ["-u", str(uid), "-g", group_of[0], "-s", "/bin/sh", "-c", name]
    try:
        found = pwd.getpwnam(name)
    except KeyError:
        subprocess.run(["useradd", "-M", *words, name], check=True)
        return 1
    if (found.pw_uid, found.pw_gid, found.pw_shell, found.pw_gecos) == (uid, group_of[1], "/bin/sh", name):
        return 0
    subprocess.run(["usermod", *words, name], check=True)
    return 1


def service(name: str) -> int:
    show = ["systemctl", "show", "-p", "ActiveState,UnitFileState", name]
    done = subprocess.run(show, capture_output=True, text=True)
    if "ActiveState=active" in done.stdout and "UnitFileState=enabled" in done.stdout:
        return 0
    subprocess.run(["systemctl", "enable", "--quiet", "--now", name], check=True)
    return 1
