"""A container booted with systemd-nspawn over an overlay of a root tree: the machine under a lab host."""

from __future__ import annotations

import time
from pathlib import Path

from .commands import run
from .keeper import Keeper

CGROUPS = Path("/sys/fs/cgroup")

BOOT = """
set -e
mount -t tmpfs tmpfs /run/systemd
directory=$1 name=$2 bridge=$3
shift 3
exec systemd-nspawn --quiet --directory="$directory" --machine="$name" --network-bridge="$bridge" --boot \
  --register=no --keep-unit --resolv-conf=off --console=pipe "$@"
"""
"""What becomes the container, in a mount namespace of its own; the tmpfs stands in for a running systemd."""

NESTED = (
    ["SYSTEMD_NSPAWN_UNIFIED_HIERARCHY=1"],
    ["--system-call-filter=add_key keyctl bpf", "--tmpfs=/var/lib/docker"],
)
"""Environment and options of a machine in which Docker starts containers: control groups that are its own, the calls
that runc makes, and a place for layers that is no overlay itself."""


class Machine:
    """One boot of a root file system. Power it off, and only the overlay's upper directory is left."""

    def __init__(self, name: str, tree: Path, directory: Path, bridge: str, nested: bool = False) -> None:
        self.root = directory / "root"
        "The merged file system, as seen from outside."
        self._name = name
        self._bridge = bridge
        self._environment, self._options = NESTED if nested else ([], [])
        self._console = directory / "console.log"
        self._upper, work = directory / "upper", directory / "work"
        for path in (self.root, self._upper, work):
            path.mkdir(exist_ok=True)
        self._upper.chmod(0o755)
        run(["rm", "-rf", str(work / "work")])  # the mark that a volatile overlay leaves against a second mount
        # volatile: fsync costs nothing, and nothing here has to outlive the machine that runs the lab.
        options = f"volatile,lowerdir={tree},upperdir={self._upper},workdir={work}"
        self._mount = ["mount", "-t", "overlay", "-o", options, f"provision-lab-{name}", str(self.root)]
        self._disk = Keeper(down=[["umount", "--lazy", str(self.root)]])
        self._boot: Keeper | None = None
        self._init = 0
        run(self._mount)

    def boot(self) -> None:
        """Start systemd in the container; returns when the container's first process is there."""
        namespace = ["unshare", "--mount", "--propagation", "private"]
        words = [str(self.root), self._name, self._bridge, *self._options]
        program = ["env", *self._environment, *namespace, "/bin/sh", "-c", BOOT, "sh", *words]
        self._boot = Keeper(down=[], program=program, console=self._console, groups=_groups(self._name))
        deadline = time.monotonic() + 60
        while not self._init:
            self._init = _init_of(self._boot.pid)
            if time.monotonic() > deadline:
                raise TimeoutError(f"{self._name} did not start:\n{self.console()}")
            time.sleep(0.02)

    def namespaces(self) -> list[str]:
        """The start of a command line that runs the rest of it inside the container."""
        return ["nsenter", "--target", str(self._init), "--all"]

    def network(self) -> list[str]:
        """The start of a command line whose rest sees the container's network, with the programs of this machine."""
        return ["nsenter", "--target", str(self._init), "--net"]

    def console(self) -> str:
        """What the container wrote on its console."""
        return self._console.read_text(errors="replace") if self._console.exists() else ""

    def off(self) -> None:
        """Cut the power: everything is killed at once, the disk is unmounted, its content stays."""
        if self._boot:
            self._boot.close()
            self._boot, self._init = None, 0
        self._disk.close()


def _groups(name: str) -> list[Path]:
    """A control group for the container in each hierarchy that nspawn uses, so that no two containers share one."""
    found = [path for path in (CGROUPS / "unified", CGROUPS / "systemd") if path.is_dir()]
    return [path / f"provision-lab-{name}" for path in found or [CGROUPS]]


def _init_of(nspawn: int) -> int:
    """The container's first process: the child of nspawn that has become systemd, or 0 when it is not there yet."""
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            pid, comm, rest = _fields(stat.read_text())
        except (OSError, ValueError):
            continue
        if int(rest.split()[1]) == nspawn and comm == "systemd":
            return pid
    return 0


def _fields(stat: str) -> tuple[int, str, str]:
    before, _, rest = stat.rpartition(") ")
    pid, _, comm = before.partition(" (")
    return int(pid), comm, rest
