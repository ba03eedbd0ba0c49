"""A wide-area link: a network namespace whose only way out is a TUN device that holds each packet back.

Two TUN devices, one on this machine and one inside the namespace, and this program between them. Everything that TCP
does - handshakes, Nagle's algorithm, delayed acknowledgements - happens as on a long line; a proxy would hide it.
"""

from __future__ import annotations

import collections
import ctypes
import fcntl
import os
import secrets
import select
import socket
import statistics
import struct
import subprocess
import sys
import tempfile
import time
from pathlib import Path

if not __package__:  # the program itself, started alone
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.lab.keeper import Keeper

TUNSETIFF, TUN_WITHOUT_HEADER, NEW_NETWORK = 0x400454CA, 0x1001, 0x40000000


class Link:
    """A namespace from which every packet takes `seconds` in each direction; use it as a context manager."""

    def __init__(self, seconds: float, subnet: str) -> None:
        self._folder = tempfile.TemporaryDirectory()
        console = Path(self._folder.name) / "console"
        program = [sys.executable, __file__, str(seconds), subnet]
        self._keeper = Keeper(down=[], program=program, console=console)
        deadline = time.monotonic() + 20
        while "ready" not in console.read_text():
            if time.monotonic() > deadline:
                raise TimeoutError(f"the delayed link did not come up:\n{console.read_text()}")
            time.sleep(0.02)

    def __enter__(self) -> Link:
        return self

    def __exit__(self, *_: object) -> None:
        self._keeper.close()
        self._folder.cleanup()

    def inside(self) -> list[str]:
        """The start of a command line that runs the rest of it inside the namespace."""
        return ["nsenter", f"--net=/proc/{self._keeper.pid}/ns/net", "--"]

    def echo(self, address: str, times: int = 9) -> float:
        """Seconds that a round trip takes: the median of TCP handshakes with `address`, port 22."""
        code = "import sys; from tests.benchmarks.delay import handshakes; handshakes(sys.argv[1], int(sys.argv[2]))"
        argv = [*self.inside(), sys.executable, "-c", code, address, str(times)]
        found = subprocess.run(argv, capture_output=True, text=True, check=True, cwd=Path(__file__).parents[2])
        return statistics.median(float(one) for one in found.stdout.split())


def handshakes(address: str, times: int) -> None:
    """Prints the seconds of each of some TCP handshakes."""
    for _ in range(times):
        began = time.perf_counter()
        with socket.create_connection((address, 22), timeout=10):
            print(time.perf_counter() - began)


def main(seconds: float, subnet: str) -> None:
    """Sets the link up and carries packets until it is killed; `subnet` is that of the hosts."""
    name, third = f"far{secrets.token_hex(3)}", secrets.randbelow(250)
    outer = _tun(f"{name}o")
    _ip("address", "add", f"169.254.{third + 1}.1/30", "dev", f"{name}o")
    _ip("link", "set", f"{name}o", "up")
    if ctypes.CDLL(None, use_errno=True).unshare(NEW_NETWORK):
        raise OSError(ctypes.get_errno(), "no network namespace")
    inner = _tun(f"{name}i")
    _ip("address", "add", f"169.254.{third + 1}.2/30", "dev", f"{name}i")
    for device in ("lo", f"{name}i"):
        _ip("link", "set", device, "up")
    _ip("route", "add", subnet, "via", f"169.254.{third + 1}.1")
    print("ready", flush=True)
    carry(outer, inner, seconds)


def carry(one: int, other: int, seconds: float) -> None:
    """Gives what is read from one descriptor to the other after `seconds`, both ways, in order."""
    held: collections.deque[tuple[float, int, bytes]] = collections.deque()
    poll = select.epoll()
    for descriptor in (one, other):
        os.set_blocking(descriptor, False)
        poll.register(descriptor, select.EPOLLIN)
    while True:
        wait = max(held[0][0] - time.monotonic(), 0.0) if held else -1
        # epoll waits in whole milliseconds; the last of them is spent looking.
        ready = poll.poll(0 if 0 <= wait < 0.001 else wait if wait < 0 else wait - 0.0009)
        for descriptor, _ in ready:
            target = other if descriptor == one else one
            while True:
                try:
                    packet = os.read(descriptor, 65536)
                except BlockingIOError:
                    break
                held.append((time.monotonic() + seconds, target, packet))
        now = time.monotonic()
        while held and held[0][0] <= now:
            _, target, packet = held.popleft()
            try:
                os.write(target, packet)
            except OSError:
                pass  # a line drops what it cannot take


def _tun(name: str) -> int:
    descriptor = os.open("/dev/net/tun", os.O_RDWR | os.O_CLOEXEC)
    fcntl.ioctl(descriptor, TUNSETIFF, struct.pack("16sH22x", name.encode(), TUN_WITHOUT_HEADER))
    return descriptor


def _ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True)


if __name__ == "__main__":
    main(float(sys.argv[1]), sys.argv[2])
