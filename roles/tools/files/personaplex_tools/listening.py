"""Who listens on a port, as the kernel has it."""

from __future__ import annotations

import glob
import ipaddress
import os


def listeners(port: int) -> dict[str, str]:
    """Address -> inode of the socket, for everything that listens on a TCP port."""
    found = {}
    for name in ("/proc/net/tcp", "/proc/net/tcp6"):
        try:
            with open(name) as file:
                lines = file.read().splitlines()[1:]
        except OSError:
            continue
        for line in lines:
            words = line.split()
            address, _, number = words[1].partition(":")
            if words[3] == "0A" and int(number, 16) == port:
                found[_address(address)] = words[9]
    return found


def listener(port: int) -> int | None:
    """The process that listens on a port; None for nobody, or for somebody whose processes this user may not see."""
    inodes = {f"socket:[{one}]" for one in listeners(port).values()}
    for path in glob.glob("/proc/[0-9]*/fd/*"):
        try:
            if os.readlink(path) in inodes:
                return int(path.split("/")[2])
        except OSError:
            continue
    return None


def _address(text: str) -> str:
    raw = bytes.fromhex(text)
    words = [raw[at : at + 4][::-1] for at in range(0, len(raw), 4)]
    return str(ipaddress.ip_address(b"".join(words)))
