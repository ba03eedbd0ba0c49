"""The root trees that lab hosts boot from: built once for each suite, kept in the cache, never written again."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Sequence
from pathlib import Path

from .commands import CommandFailed, run
from .mirror import mirror
from .places import cache, locked

SUITES = {"bullseye": "3.9.2", "bookworm": "3.11.2", "trixie": "3.13.5"}
"""The Debian suites that a lab host can be, and the Python that each brings."""

PACKAGES = (
    "systemd", "systemd-sysv", "dbus", "python3", "openssh-server", "sudo", "ca-certificates", "iproute2", "procps",
)  # fmt: skip
"""What a new host has beyond the minimal system. Full `python3`, as Ubuntu and WSL have it."""

PASSWORD = "lab password"
"""The password of the user `pwlab`, for ssh and for sudo."""

PREPARE = f"""
set -eu
useradd --uid 1000 --create-home --shell /bin/bash lab
useradd --uid 1001 --create-home --shell /bin/bash pwlab
echo 'pwlab:{PASSWORD}' | chpasswd
echo 'lab ALL=(ALL:ALL) NOPASSWD: ALL' > /etc/sudoers.d/lab
echo 'pwlab ALL=(ALL:ALL) ALL' > /etc/sudoers.d/pwlab
chmod 0440 /etc/sudoers.d/lab /etc/sudoers.d/pwlab
# Ten connections at once are dropped at random by default; the name sorts last, so a role's drop-in wins.
printf 'MaxStartups 300:30:600\\nMaxSessions 100\\nPasswordAuthentication yes\\n' > /etc/ssh/sshd_config.d/99-lab.conf
rm -f /etc/ssh/ssh_host_*
# Nothing must run by itself in the middle of a test and take dpkg's lock.
systemctl --quiet disable apt-daily.timer apt-daily-upgrade.timer
systemctl --quiet enable systemd-networkd.service
rm -f /var/cache/apt/archives/*.deb /etc/machine-id /var/lib/dbus/machine-id
: > /etc/machine-id
ldconfig
# systemd's own jobs for a system that was just updated have nothing left to do.
touch /etc/.updated /var/.updated
"""


def tree(suite: str, more: Sequence[str] = ()) -> Path:
    """The root tree of `suite`, with `more` packages, built when the cache has none; building takes about a minute."""
    packages = (*PACKAGES, *more)
    recipe = hashlib.sha256(repr((suite, packages, PREPARE)).encode()).hexdigest()[:12]
    with locked(f"tree-{suite}"):
        done = cache() / f"{suite}-{recipe}"
        if not done.exists():
            _build(suite, done, packages)
        return done


def _build(suite: str, done: Path, packages: Sequence[str]) -> None:
    making = done.with_name(f"{done.name}.building")
    shutil.rmtree(making, ignore_errors=True)
    bootstrap = ["debootstrap", "--variant=minbase", f"--include={','.join(packages)}", suite, str(making), mirror()]
    try:
        run(bootstrap)
    except CommandFailed as error:
        log = making / "debootstrap/debootstrap.log"
        tail = "\n".join(log.read_text(errors="replace").splitlines()[-20:]) if log.exists() else ""
        raise RuntimeError(
            f"the suite {suite} could not be built from this machine's mirror: {error}\n{tail}"
        ) from None
    path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
    run(["chroot", str(making), "/bin/sh", "-s"], input=PREPARE, env={"PATH": path, "LC_ALL": "C.UTF-8"})
    os.rename(making, done)
