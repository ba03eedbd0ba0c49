"""A lab host: a real Debian with systemd and sshd at an address of its own, thrown away at the end."""

from __future__ import annotations

import contextlib
import secrets
import shlex
import shutil
import socket
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

from .access import Access
from .commands import CommandFailed, run
from .fingerprint import Fingerprint, Fingerprinter
from .machine import Machine
from .network import Network
from .standins.card import Card
from .tree import tree

NETWORKD = "[Match]\nName=host0\n[Network]\nAddress={address}/{prefix}\nGateway={gateway}\n"
ENVIRONMENT = ["env", "-i", "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/root"]


class LabHost:
    """A disposable host. `run` goes through ssh; `enter` needs no ssh and is the way back in after a lock-out."""

    def __init__(
        self, name: str, suite: str, network: Network, access: Access, directory: Path, more: Sequence[str] = (),
        nested: bool = False,
    ) -> None:
        self.name = name
        self.suite = suite
        self.address = network.address()
        "Where sshd listens, on port 22."
        self.access = access
        self._network = network
        self._directory = directory
        self._tree = tree(suite, more)
        self._nested = nested
        self._machine: Machine | None = None
        self._fingerprinter = Fingerprinter()
        self._machine_id = secrets.token_hex(16)
        directory.mkdir(parents=True)
        self._host_key = access.host_key(self.address, directory)

    @property
    def root(self) -> Path:
        """The host's root directory as seen from this machine (without /proc, /run and the like)."""
        return self._running().root

    def start(self) -> None:
        """Boot, and wait until sshd answers and systemd has nothing left to start."""
        label = f"{self._network.name}-{self.name}"
        self._machine = Machine(label, self._tree, self._directory, self._network.name, self._nested)
        try:
            self._configure(self._machine.root)
            self._machine.boot()
            self._wait()
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Cut the power. What was written stays, for `start`."""
        if self._machine:
            self._machine.off()
            self._machine = None

    def restart(self) -> None:
        """Cut the power and boot again with the same disk."""
        self.stop()
        self.start()

    def reset(self) -> None:
        """Boot again as the host was at first; address and host key stay."""
        self.stop()
        shutil.rmtree(self._directory / "upper")
        self.start()

    def __enter__(self) -> LabHost:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def run(
        self, argv: Sequence[str], *, user: str = "root", input: str | None = None, check: bool = True
    ) -> subprocess.CompletedProcess[str]:
        """Run a command on the host through ssh, as `root` or `lab`."""
        return run([*self.access.ssh(self.address, user), shlex.join(argv)], input=input, check=check)

    def enter(
        self, argv: Sequence[str], *, input: str | None = None, check: bool = True
    ) -> subprocess.CompletedProcess[str]:
        """Run a command on the host as root without any network."""
        return run([*self.entrance(), *argv], input=input, check=check)

    def entrance(self) -> list[str]:
        """The start of a command line that runs the rest of it on the host as root, without any network."""
        return [*self._running().namespaces(), *ENVIRONMENT]

    def cut(self) -> None:
        """Drop every packet to and from the host, without a word to anybody, until `mend`."""
        table = "table inet cut { chain i { type filter hook input priority -300; iif lo accept; drop; }; "
        table += "chain o { type filter hook output priority -300; oif lo accept; drop; }; }"
        run([*self._running().network(), "nft", table])

    def mend(self) -> None:
        """Let packets through again."""
        run([*self._running().network(), "nft", "delete table inet cut"])

    def insert_card(self, card: Card | None = None) -> None:
        """Give the host a graphics card, as the stand-ins see one: an RTX 5090 unless another is given."""
        (card or Card()).insert(self.root)

    def fingerprint(self) -> Fingerprint:
        """What the host's files are now; compare two of them with `fingerprint.difference`."""
        return self._fingerprinter.of(self.root)

    def console(self) -> str:
        """What the host wrote on its console while it booted."""
        return self._machine.console() if self._machine else ""

    def _running(self) -> Machine:
        if self._machine is None:
            raise RuntimeError(f"the lab host {self.name} is not started")
        return self._machine

    def _configure(self, root: Path) -> None:
        """Write what makes this host different from every other one of its suite."""
        machine_id = root / "etc/machine-id"
        if machine_id.stat().st_size:
            return  # booted before: the disk is the host's own by now
        machine_id.write_text(f"{self._machine_id}\n")
        (root / "etc/hostname").write_text(f"{self.name}\n")
        (root / "etc/hosts").write_text(f"127.0.0.1 localhost\n127.0.1.1 {self.name}\n")
        networkd = NETWORKD.format(
            address=self.address, prefix=self._network.subnet.prefixlen, gateway=self._network.gateway
        )
        (root / "etc/systemd/network/80-container-host0.network").write_text(networkd)
        for name in ("resolv.conf", "ssl/certs/ca-certificates.crt"):
            shutil.copyfile(Path("/etc", name), root / "etc" / name)
        self.access.install(root, self._host_key)

    def _wait(self, seconds: float = 60) -> None:
        deadline = time.monotonic() + seconds
        while not _answers(self.address):
            if time.monotonic() > deadline:
                raise TimeoutError(f"sshd of {self.name} did not answer in {seconds} s:\n{self.console()}")
            time.sleep(0.05)
        # "degraded" is said here on some machines for units that mean nothing in a container; it is settled too.
        with contextlib.suppress(CommandFailed):
            self.enter(["systemctl", "is-system-running", "--wait"])


def _answers(address: str) -> bool:
    """Whether something that greets like sshd listens at `address`."""
    try:
        with socket.create_connection((address, 22), timeout=1) as connection:
            connection.settimeout(2)
            return connection.recv(4) == b"SSH-"
    except OSError:
        return False
