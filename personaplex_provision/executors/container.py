"""Containers of this machine: docker and podman by their own command, systemd-nspawn by nsenter, and a chroot."""

from __future__ import annotations

import itertools
import os
import subprocess
from collections.abc import Sequence
from pathlib import Path

from personaplex_provision.executors.base import Connection, unreachable
from personaplex_provision.executors.local import ProcessStream, start_process

PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


class ContainerExecutor:
    """Commands inside a container; `connection.host` is its name, or the root directory of a chroot."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        if connection.kind in ("docker", "podman"):
            # Whoever may use docker may be anyone inside: there is nothing to ask sudo for.
            self.user = connection.become_user if connection.become else connection.user
        else:
            self.user = "root"
            _must_be_root(connection)
        self.prefix = self._prefix()

    def open(self, argv: Sequence[str], stdin_first: bytes = b"") -> ProcessStream:
        return start_process([*self.prefix, *argv], self.connection, stdin_first)

    def close(self) -> None:
        """Nothing is held."""

    def _prefix(self) -> list[str]:
        kind, name = self.connection.kind, self.connection.host
        if kind in ("docker", "podman"):
            return [kind, "exec", "-i", *(["-u", self.user] if self.user else []), name]
        clean = ["/usr/bin/env", "-i", f"PATH={PATH}", "HOME=/root", "USER=root", "LOGNAME=root", "SHELL=/bin/sh"]
        if kind == "chroot":
            if not Path(name).is_dir():
                raise unreachable(f"{self.connection.name}: there is no directory {name}",
                                  hint="ansible_host of a chroot is its root directory")
            return ["chroot", name, *clean]
        spaces = ["--mount", "--uts", "--ipc", "--net", "--pid"]
        return ["nsenter", "--target", str(leader(name)), *spaces, "--", *clean]


def leader(machine: str) -> int:
    """Process id, here, of the first process of a systemd-nspawn container. Raises UnreachableError."""
    if machine.isdigit():
        return int(machine)
    try:
        shown = subprocess.run(
            ["machinectl", "show", machine, "--property=Leader", "--value"],
            stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=10,
        )
        if shown.returncode == 0 and shown.stdout.strip().isdigit():
            return int(shown.stdout)
    except (OSError, subprocess.TimeoutExpired):
        pass  # no systemd here, or the container was not registered with it
    for process in Path("/proc").iterdir():
        if process.name.isdigit() and _runs(process, machine):
            children = _children(int(process.name))
            if children:
                return children[0]
    raise unreachable(f"there is no running container {machine}", hint="`machinectl list` shows those that run")


def _runs(process: Path, machine: str) -> bool:
    """Whether a process is the systemd-nspawn of this container."""
    try:
        words = (process / "cmdline").read_bytes().decode("utf-8", "replace").split("\0")
    except OSError:
        return False
    if not words[0].endswith("systemd-nspawn"):
        return False
    named = (("-M", machine), ("--machine", machine))
    return f"--machine={machine}" in words or any(pair in named for pair in itertools.pairwise(words))


def _children(pid: int) -> list[int]:
    try:
        return [int(one) for one in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except (OSError, ValueError):
        return []


def _must_be_root(connection: Connection) -> None:
    if os.geteuid() != 0:
        raise unreachable(f"{connection.name}: entering a {connection.kind} takes root here",
                          hint="run provision as root on this machine, or reach the host by ssh")
