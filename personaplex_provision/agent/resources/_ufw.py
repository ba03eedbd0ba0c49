"""ufw's rules as its files have them, and whether they let a connection in."""

from __future__ import annotations

import ipaddress
import os
import re
from typing import Dict, Iterable, List, Optional

from personaplex_provision.agent.host import Host
from personaplex_provision.agent.row import NamedTuple

SETTINGS = "/etc/ufw/ufw.conf"
DEFAULTS = "/etc/default/ufw"
RULES = ("/etc/ufw/user.rules", "/etc/ufw/user6.rules", "/lib/ufw/user.rules", "/lib/ufw/user6.rules")
FILES = (SETTINGS, DEFAULTS, *RULES)
POLICIES = {"DROP": "deny", "ACCEPT": "allow", "REJECT": "reject"}
FRESH = {"INPUT": "deny", "OUTPUT": "allow", "FORWARD": "deny"}
"""The default policies of a new installation."""
_APPS = {"openssh": "22", "ssh": "22"}


class Rule(NamedTuple):
    """One rule: what is done (`allow deny limit reject`), ports here (`22`, `80,443`, `1000:2000`, `any`), source."""

    action: str
    protocol: str
    ports: str
    source: str
    direction: str


class Connection(NamedTuple):
    """The connection that ssh has to this host: the other side's address, and the port here."""

    client: str
    port: int


def parse(text: str) -> List[Rule]:
    """The rules in a user.rules file, or in what `ufw --dry-run` prints."""
    found = []
    for line in re.findall(r"(?m)^### tuple ### (.*)$", text):
        words = line.split(" comment=")[0].split()
        if len(words) < 7 or words[0].startswith("route:"):
            continue
        action, protocol, ports, _, _, source = words[:6]
        found.append(Rule(action.split("_")[0], protocol, ports, source, words[-1]))
    return found


def tuples(text: str) -> List[str]:
    """The lines by which ufw remembers its rules."""
    return re.findall(r"(?m)^### tuple ### .*$", text)


def setting(text: str, name: str) -> str:
    """The value of a shell variable in a settings file."""
    found = re.search(rf"(?m)^\s*{name}=[\"']?([^\"'\n]*)", text)
    return found.group(1).strip() if found else ""


def read_all(host: Host) -> Dict[str, str]:
    """What ufw's files hold, by path."""
    found = {}
    for path in FILES:
        try:
            found[path] = host.read_text(path)
        except OSError:
            continue
    return found


def connection(environment: Optional[Dict[str, str]] = None) -> Optional[Connection]:
    """The ssh connection this program was started through, also behind sudo; None when there is none."""
    text = (environment if environment is not None else dict(os.environ)).get("SSH_CONNECTION") or ""
    pid = os.getppid()
    while not text and environment is None and pid > 1:
        try:
            with open(f"/proc/{pid}/environ", "rb") as file:
                rows = file.read().split(b"\0")
            with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as stat:
                pid = int(stat.read().rpartition(")")[2].split()[1])
        except (OSError, ValueError):
            return None
        text = next((row[15:].decode() for row in rows if row.startswith(b"SSH_CONNECTION=")), "")
    words = text.split()
    return Connection(words[0], int(words[3])) if len(words) == 4 and words[3].isdigit() else None


def lets_in(rules: Iterable[Rule], default: str, link: Connection) -> bool:
    """Whether a new connection like `link` gets through: the first rule that speaks of it decides, else the default."""
    client = ipaddress.ip_address(link.client.split("%")[0])
    if client.is_loopback:
        return True
    for rule in rules:
        if rule.protocol not in ("any", "tcp") or rule.direction.split("_")[0] != "in":
            continue
        if not _covers(rule.ports, link.port):
            continue
        source = "0.0.0.0/0" if rule.source == "any" and client.version == 4 else rule.source
        source = "::/0" if source == "any" else source
        try:
            network = ipaddress.ip_network(source, strict=False)
        except ValueError:
            continue
        if network.version == client.version and client in network:
            return rule.action in ("allow", "limit")
    return default == "allow"


def _covers(ports: str, port: int) -> bool:
    if ports == "any":
        return True
    for part in _APPS.get(ports.lower(), ports).split(","):
        first, _, last = part.partition(":")
        if first.isdigit() and int(first) <= port <= int(last if last.isdigit() else first):
            return True
    return False
