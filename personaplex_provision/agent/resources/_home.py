"""Home directories: made from a skeleton, and given back to their owner."""

from __future__ import annotations

import os
import re
from typing import Tuple

from personaplex_provision.agent.host import Host

Ids = Tuple[int, int]
"""A uid and a gid."""


def predict_home(host: Host, home: str, uid: int, gid: int, skeleton: str | None, umask: str | None) -> None:
    """Makes a home directory as `useradd -m` does; on the planning host this is what useradd will have made."""
    host.mkdir(home)
    _fill(host, skeleton or "/etc/skel", home, (uid, gid))
    host.chown(home, uid, gid)
    host.chmod(home, home_mode(host, umask))


def home_mode(host: Host, umask: str | None) -> int:
    """The mode of a new home directory by /etc/login.defs: HOME_MODE, else what UMASK leaves."""
    if umask is not None:
        return 0o777 & ~int(umask, 8)
    try:
        text = host.read_text("/etc/login.defs")
    except OSError:
        return 0o755
    for pattern, mode in ((r"HOME_MODE\s+(0?[0-7]+)", 0), (r"UMASK\s+(0?[0-7]+)", 0o777)):
        found = re.search(rf"(?m)^\s*{pattern}", text)
        if found:
            return int(found.group(1), 8) ^ mode
    return 0o755


def rechown(host: Host, top: str, new: Ids, old: Ids) -> None:
    """Gives what belongs to the ids `new` under `top` to the ids `old`."""
    if new == old or not host.stat(top).exists:
        return
    todo = [top]
    while todo:
        path = todo.pop()
        entry = host.stat(path)
        uid = old[0] if entry.uid == new[0] != old[0] else -1
        gid = old[1] if entry.gid == new[1] != old[1] else -1
        if (uid, gid) != (-1, -1):
            # Not through host.chown: that reads each file in whole for its image, and only the owner changes here.
            os.lchown(path, uid, gid)
            if entry.type != "link":
                os.chmod(path, entry.mode)
        if entry.type == "directory":
            todo += [os.path.join(path, name) for name in host.list(path)]
    host.changed()


def _fill(host: Host, source: str, target: str, owner: Ids) -> None:
    try:
        names = host.list(source)
    except OSError:
        return
    for name in names:
        there, here = os.path.join(source, name), os.path.join(target, name)
        entry = host.stat(there)
        if entry.type == "directory":
            host.mkdir(here)
            _fill(host, there, here, owner)
        elif entry.type == "link":
            host.symlink(entry.target, here)
        elif entry.type == "file":
            host.write(here, host.read(there), mode=entry.mode)
        else:
            continue
        host.chown(here, *owner)
        if entry.type == "directory":
            host.chmod(here, entry.mode)
