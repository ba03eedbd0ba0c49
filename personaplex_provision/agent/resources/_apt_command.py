"""Running apt and dpkg without questions, once whoever holds their lock has let go."""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import struct
import time
from typing import Dict, Iterable, List, Optional

from personaplex_provision.agent.host import Host
from personaplex_provision.agent.machine import Completed
from personaplex_provision.agent.resource import ResourceError
from personaplex_provision.agent.resources._accounts import ACCOUNT_FILES, ACCOUNT_TRACES

ENVIRONMENT: Dict[str, str] = {
    "DEBIAN_FRONTEND": "noninteractive",
    "DEBIAN_PRIORITY": "critical",
    "APT_LISTCHANGES_FRONTEND": "none",
    # Restarting other services is nobody's wish here: needrestart only lists them.
    "NEEDRESTART_MODE": "l",
    "NEEDRESTART_SUSPEND": "1",
}
LISTS = "/var/lib/apt/lists"
SOURCES = ("/etc/apt/sources.list", "/etc/apt/sources.list.d")
_LOCKS = ("/var/lib/dpkg/lock-frontend", "/var/lib/dpkg/lock")
_NOTED = tuple(f"/var/lib/dpkg/{name}{suffix}" for name in ("statoverride", "diversions") for suffix in ("", "-old"))
"""What maintainer scripts tell dpkg about other packages' files; they do not always take it back."""
_GRACE = 300.0
"""Seconds for which lists count as just fetched, when no other time is asked for."""


def dpkg_options(options: str) -> List[str]:
    """`force-confdef,force-confold` as apt-get's arguments."""
    return [word for one in options.split(",") if one for word in ("-o", f"Dpkg::Options::=--{one.lstrip('-')}")]


def run_apt(host: Host, argv: List[str], lock_timeout: float, total: int = 0) -> Completed:
    """Runs an apt-get or dpkg command that changes packages; `total` packages for the progress. Never raises for rc."""
    wait_for_unlock(host, lock_timeout)
    counted = 0

    def heard(line: str) -> None:
        nonlocal counted
        if line.startswith(("Unpacking ", "Setting up ", "Removing ", "Purging ")):
            counted += 1
            host.progress(line, min(counted, 2 * total), 2 * total)
        host.output(line)

    touches = [*ACCOUNT_FILES, *ACCOUNT_TRACES, *_NOTED]
    return host.run(argv, touches, env=ENVIRONMENT, check=False, on_line=heard)


def update_lists(host: Host, lock_timeout: float, source: str = "") -> None:
    """Fetches the package lists, of one sources file only when `source` is given and the rest is as fetched.

    Raises ResourceError.
    """
    fetched = host.stat(LISTS).mtime
    others = [one for one in _sources(host) if one not in (source, SOURCES[1])]
    if not _have_lists(host) or any(host.stat(one).mtime > fetched for one in others):
        source = ""
    wait_for_lock(host, [f"{LISTS}/lock"], lock_timeout)
    argv = ["apt-get", "-q", "-o", f"DPkg::Lock::Timeout={int(lock_timeout)}", "update"]
    if source:
        argv[1:1] = [
            "-o", f"Dir::Etc::sourcelist={source}", "-o", "Dir::Etc::sourceparts=-", "-o", "APT::Get::List-Cleanup=0",
        ]
    found = host.run(argv, env=ENVIRONMENT, check=False)
    wrong = re.findall(r"(?m)^(?:E|W|Err)[:\d ]+\s*(.*(?:\n  .*)*)", found.stdout + found.stderr)
    wrong = [line for line in wrong if re.search(_SERIOUS, line)]
    if found.rc != 0 or wrong:
        hint = "the address, the suite or the key of a source is wrong, or the host has no network"
        raise ResourceError("the package lists could not be fetched", "\n".join(wrong) or found.stderr.strip(), hint)
    # apt leaves the directory's time alone when nothing was new; here it says when the lists were fetched.
    host.run(["touch", LISTS])


def stale_lists(host: Host, asked: bool, valid: float) -> str:
    """Why the package lists are to be fetched first, or nothing. `asked`: also when they are older than `valid` s."""
    if not _have_lists(host):
        return "there are no package lists yet"
    fetched = host.stat(LISTS).mtime
    for path in _sources(host):
        entry = host.stat(path)
        if entry.mtime > fetched or (host.planning and entry.exists and entry.inode == 0):
            return "the package sources were changed since the lists were fetched"
    if asked and time.time() - fetched / 1e9 > max(valid, _GRACE):
        return f"the package lists are of {time.strftime('%Y-%m-%d %H:%M', time.localtime(fetched / 1e9))}"
    return ""


def wait_for_unlock(host: Host, timeout: float) -> None:
    """Returns when no program is at work on the packages. Raises ResourceError, naming it, after `timeout` seconds."""
    wait_for_lock(host, _LOCKS, timeout)


def wait_for_lock(host: Host, paths: Iterable[str], timeout: float) -> None:
    """Returns when nobody holds the locks. Raises ResourceError, naming the holder, after `timeout` seconds."""
    deadline = time.monotonic() + timeout
    told = ""
    while True:
        holder = next((found for found in (lock_holder(path) for path in paths) if found), None)
        if holder is None:
            return
        if time.monotonic() >= deadline:
            raise ResourceError(
                f"the packages are locked by {holder}", f"it did not let go within {timeout:g} seconds",
                "wait until it is done, or give the task a larger `lock_timeout`",
            )
        if holder != told:
            host.progress(f"waiting: the packages are locked by {holder}")
            told = holder
        time.sleep(0.5)


def lock_holder(path: str) -> Optional[str]:
    """`apt-get (process 123)` when someone holds the lock file, else None."""
    try:
        fd = os.open(path, os.O_RDWR)
    except OSError:
        return None
    try:
        answer = fcntl.fcntl(fd, fcntl.F_GETLK, struct.pack(_FLOCK, fcntl.F_WRLCK, 0, 0, 0, 0))
    except OSError:
        return None
    finally:
        os.close(fd)
    kind, _, _, _, pid = struct.unpack(_FLOCK, answer)
    if kind == fcntl.F_UNLCK:
        return None
    with contextlib.suppress(OSError), open(f"/proc/{pid}/comm", encoding="utf-8", errors="replace") as file:
        return f"{file.read().strip()} (process {pid})"
    return "a process outside this container"


def _have_lists(host: Host) -> bool:
    try:
        return any(name.endswith(("Release", "_Packages", "_Packages.lz4")) for name in host.list(LISTS))
    except OSError:
        return False


def _sources(host: Host) -> List[str]:
    folder = SOURCES[1]
    names = host.list(folder) if host.stat(folder).type == "directory" else []
    return [*SOURCES, *(f"{folder}/{name}" for name in names if name.endswith((".list", ".sources")))]


_FLOCK = "hhqqi"
_SERIOUS = r"(?i)failed to fetch|not signed|no_pubkey|could not resolve|does not have a release file|signature|GPG|404"
