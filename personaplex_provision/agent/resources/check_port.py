"""The `check_port` kind."""

from __future__ import annotations

import contextlib
import os
import re
import socket
from typing import Any, Dict, Iterator, List

from personaplex_provision.agent.host import Host
from personaplex_provision.agent.record import dataclass
from personaplex_provision.agent.resource import ResourceError
from personaplex_provision.agent.resources._check import Check, Matcher, require_port, require_positive

EXAMPLE = """
- name: the server listens on this machine alone
  check_port:
    port: 8998
    addresses: [127.0.0.1]

- name: the port is free
  check_port: {port: 8998, state: free}
"""


@dataclass
class CheckPort(Check):
    """Whether a TCP port answers or is free, and on which of this host's addresses something listens."""

    kind = "check_port"
    matched = ("addresses",)

    port: int
    "The port."
    host: str = "127.0.0.1"
    "Address or name to connect to."
    state: str = "open"
    "`open`: a connection is taken; `free`: nothing on this host listens on it."
    addresses: Matcher | None = None
    "The addresses of this host on which something listens on the port, in order; `0.0.0.0` and `::` mean all."
    timeout: float = 5.0
    "Seconds a connection may take."

    def validate(self) -> Iterator[str]:
        yield from super().validate()
        yield from require_port("port", self.port)
        yield from require_positive("timeout", self.timeout)
        if self.state not in ("open", "free"):
            yield f'state is open or free, and not "{self.state}"'

    def title(self) -> str:
        return f"port {self.port}"

    def look(self, host: Host) -> Dict[str, Any]:
        rows = _listening(self.port)
        found: Dict[str, Any] = {"addresses": sorted({address for address, _ in rows})}
        if self.state == "free":
            if rows:
                holder = _holder({inode for _, inode in rows})
                where = ", ".join(found["addresses"])
                raise ResourceError(f"port {self.port} is taken on {where}" + (f" by {holder}" if holder else ""),
                                    hint="stop what listens there, or choose another port", result=found)
            return found
        try:
            socket.create_connection((self.host, self.port), self.timeout).close()
        except ConnectionRefusedError:
            there = f"; something listens on {', '.join(found['addresses'])}" if rows else ""
            raise ResourceError(f"port {self.port} of {self.host} refuses connections: nothing listens there{there}",
                                result=found) from None
        except TimeoutError:
            raise ResourceError(f"port {self.port} of {self.host} did not answer within {self.timeout:g} seconds",
                                hint="a firewall drops what it does not allow", result=found) from None
        except OSError as error:
            raise ResourceError(f"port {self.port} of {self.host}: {error.strerror or error}", result=found) from None
        return found

    def advice(self, field: str, found: Dict[str, Any]) -> str:
        if {"0.0.0.0", "::"} & set(found["addresses"]):
            return "the server listens on every address of this host: whoever reaches it can use it"
        return ""


def _listening(port: int) -> List[tuple[str, str]]:
    """Address and inode of every socket that listens on a TCP port."""
    found = []
    for name, family in (("/proc/net/tcp", socket.AF_INET), ("/proc/net/tcp6", socket.AF_INET6)):
        with contextlib.suppress(FileNotFoundError), open(name, encoding="ascii") as file:
            for row in file.readlines()[1:]:
                words = row.split()
                address, _, number = words[1].partition(":")
                if int(number, 16) == port and words[3] == "0A":
                    found.append((_address(address, family), words[9]))
    return found


def _address(text: str, family: socket.AddressFamily) -> str:
    """An address of /proc/net: words of four bytes in the machine's order."""
    import sys

    data = bytes.fromhex(text)
    if sys.byteorder == "little":
        data = b"".join(data[at:at + 4][::-1] for at in range(0, len(data), 4))
    return socket.inet_ntop(family, data)


def _holder(inodes: set[str]) -> str:
    """`name (process N)` of whoever has one of the sockets, as far as we may see."""
    for pid in filter(str.isdigit, os.listdir("/proc")):
        with contextlib.suppress(OSError):
            for one in os.listdir(f"/proc/{pid}/fd"):
                target = re.match(r"socket:\[(\d+)\]", os.readlink(f"/proc/{pid}/fd/{one}"))
                if target and target[1] in inodes:
                    with open(f"/proc/{pid}/comm", encoding="utf-8", errors="replace") as file:
                        return f"{file.read().strip()} (process {pid})"
    return ""
