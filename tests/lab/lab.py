"""A lab: a network, stand-ins for the servers outside, and as many hosts as a test asks for."""

from __future__ import annotations

import contextlib
import itertools
import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import yaml

from .access import Access
from .commands import run
from .host import LabHost
from .keeper import Keeper
from .network import Network
from .standins import Standins
from .variables import variables

TOOLS = ("systemd-nspawn", "debootstrap", "nft", "ip", "ssh", "ssh-keygen", "nsenter", "git", "gpg", "dpkg-deb")


def missing() -> str | None:
    """Why no lab can be built on this machine, or None when one can."""
    if os.geteuid() != 0:
        return "lab hosts need root"
    absent = [tool for tool in TOOLS if shutil.which(tool) is None]
    return f"lab hosts need {', '.join(absent)}" if absent else None


class Lab:
    """Everything of one lab; use it as a context manager, so that it is taken down."""

    def __init__(self) -> None:
        self._stack = contextlib.ExitStack()
        self._numbers = itertools.count(1)

    def __enter__(self) -> Lab:
        with contextlib.ExitStack() as stack:
            self.directory = stack.enter_context(_directory())
            self.network = Network()
            stack.callback(self.network.close)
            self.access = Access(self.directory)
            self.standins = Standins((self.network.gateway, "127.0.0.1"), self.directory / "standins")
            stack.callback(self.standins.close)
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    @contextlib.contextmanager
    def host(self, suite: str = "bookworm", more: Sequence[str] = (), nested: bool = False) -> Iterator[LabHost]:
        """A fresh, started host that has `more` packages; thrown away at the end. `nested`: Docker runs in it."""
        name = f"h{next(self._numbers)}"
        directory = self.directory / name
        host = LabHost(name, suite, self.network, self.access, directory, more, nested)
        try:
            with host:
                yield host
        finally:
            shutil.rmtree(directory)

    def inventory(self, hosts: Sequence[LabHost], user: str = "root") -> Path:
        """An inventory file that names `hosts`."""
        settings = {
            "ansible_user": user,
            "ansible_ssh_private_key_file": str(self.access.identity),
            "ansible_ssh_common_args": f"-o UserKnownHostsFile={self.access.known_hosts} -o StrictHostKeyChecking=yes",
        }
        named = {host.name: {"ansible_host": host.address} for host in hosts}
        content = {"all": {"vars": settings, "hosts": named}}
        path = self.directory / f"inventory-{'-'.join(host.name for host in hosts)}-{user}.yml"
        path.write_text(yaml.safe_dump(content, sort_keys=False))
        return path

    def variables_file(self) -> Path:
        """A file of extra variables that points a playbook at this lab instead of the world outside."""
        path = self.directory / "extra-vars.yml"
        path.write_text(yaml.safe_dump(variables(self), sort_keys=False))
        return path


@contextlib.contextmanager
def _directory() -> Iterator[Path]:
    """A new directory for one lab, in memory: packages install faster there, and it is gone in no time."""
    path = Path(tempfile.mkdtemp(prefix="provision-lab-"))
    keeper = Keeper(down=[["umount", "--lazy", str(path)], ["rmdir", str(path)]])
    try:
        run(["mount", "-t", "tmpfs", "-o", "size=75%,mode=0700", "provision-lab", str(path)])
        yield path
    finally:
        keeper.close()
