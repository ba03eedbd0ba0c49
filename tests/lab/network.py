"""The lab's network: a bridge that this machine is the gateway of, and addresses for the hosts on it."""

from __future__ import annotations

import ipaddress
import itertools
import json
import secrets
import sys
from pathlib import Path

from . import kernel
from .commands import output, run
from .keeper import Keeper

RULES = """
table ip {name} {{
    chain postrouting {{
        type nat hook postrouting priority srcnat; policy accept;
        ip saddr {subnet} oifname != "{name}" masquerade
    }}
}}
"""


class Network:
    """A bridge with its own subnet; packets from its hosts to the world outside are translated to this machine's."""

    def __init__(self) -> None:
        self.name = f"lab{secrets.token_hex(3)}"
        "The name of the bridge, and of the nftables table."
        self.subnet = _free_subnet()
        addresses = self.subnet.hosts()
        self.gateway = str(next(addresses))
        "This machine's address on the bridge; the stand-in servers listen there."
        self._addresses = itertools.islice(addresses, 9, None)
        down = [["nft", "delete", "table", "ip", self.name], ["ip", "link", "delete", self.name], _release()]
        self._keeper = Keeper(down=down)
        try:
            run(["ip", "link", "add", self.name, "type", "bridge"])
            kernel.hold(self.name)
            run(["ip", "address", "add", f"{self.gateway}/{self.subnet.prefixlen}", "dev", self.name])
            run(["ip", "link", "set", self.name, "up"])
            run(["nft", "-f", "-"], input=RULES.format(name=self.name, subnet=self.subnet))
        except BaseException:
            self.close()
            raise

    def address(self) -> str:
        """An address that no host of this lab has had."""
        return str(next(self._addresses))

    def close(self) -> None:
        """Remove the bridge and the translation."""
        self._keeper.close()


def _free_subnet() -> ipaddress.IPv4Network:
    """A private /24 that no interface and no route of this machine knows."""
    routes = json.loads(output(["ip", "-json", "-4", "route", "show", "table", "all"]))
    known = [route["dst"] for route in routes if route["dst"] != "default"]
    taken = [ipaddress.IPv4Network(dst, strict=False) for dst in known]
    while True:
        subnet = ipaddress.IPv4Network((f"10.{64 + secrets.randbelow(128)}.{secrets.randbelow(256)}.0", 24))
        if not any(subnet.overlaps(other) for other in taken):
            return subnet


def _release() -> list[str]:
    """The command by which a keeper gives the kernel settings back."""
    package = Path(__file__).resolve().parent
    code = f"import sys; sys.path.insert(0, sys.argv[1]); from {package.name}.kernel import release; release()"
    return [sys.executable, "-I", "-c", code, str(package.parent)]
