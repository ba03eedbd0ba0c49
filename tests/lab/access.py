"""Keys of a lab: one for the client, one for each host, and the file of known hosts that lets checking stay strict."""

from __future__ import annotations

import os
import shutil
import threading
from pathlib import Path

from .commands import run

USERS = {"root": "root", "lab": "home/lab"}
"""The users that the client key opens, and their home directories."""


class Access:
    """The client key and the known hosts of one lab."""

    def __init__(self, directory: Path) -> None:
        self.identity = directory / "id_ed25519"
        "The private key that opens `root` and `lab` on every host of the lab."
        self.known_hosts = directory / "known_hosts"
        "The host keys of the lab's hosts."
        self._lock = threading.Lock()
        self.known_hosts.touch()
        _keygen(self.identity, "lab")

    def host_key(self, address: str, directory: Path) -> Path:
        """Make the key of the host at `address` and note it as known."""
        key = directory / "ssh_host_ed25519_key"
        _keygen(key, "lab host")
        kind, public, *_ = key.with_suffix(".pub").read_text().split()
        with self._lock, self.known_hosts.open("a") as file:
            file.write(f"{address} {kind} {public}\n")
        return key

    def install(self, root: Path, host_key: Path) -> None:
        """Put the host's own key, and the client's public one, into the root directory of a host."""
        for suffix in ("", ".pub"):
            shutil.copy(f"{host_key}{suffix}", root / "etc/ssh")
        for home in USERS.values():
            directory = root / home / ".ssh"
            directory.mkdir(mode=0o700, exist_ok=True)
            shutil.copy(self.identity.with_suffix(".pub"), directory / "authorized_keys")
            owner = (root / home).stat()
            for path in (directory, directory / "authorized_keys"):
                os.chown(path, owner.st_uid, owner.st_gid)
            (directory / "authorized_keys").chmod(0o600)

    def options(self) -> list[str]:
        """What ssh needs to reach a host of this lab and nothing else; no file of the user is read."""
        settings = [
            f"UserKnownHostsFile={self.known_hosts}",
            "GlobalKnownHostsFile=/dev/null",
            "StrictHostKeyChecking=yes",
            "IdentitiesOnly=yes",
            "BatchMode=yes",
            "LogLevel=ERROR",
        ]
        return ["-F", "none", "-i", str(self.identity), *(word for setting in settings for word in ("-o", setting))]

    def ssh(self, address: str, user: str) -> list[str]:
        """The command line that opens a session as `user`."""
        return ["ssh", *self.options(), f"{user}@{address}"]


def _keygen(path: Path, comment: str) -> None:
    run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", comment, "-f", str(path)])
