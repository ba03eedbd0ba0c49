"""The `hostname` kind."""

from __future__ import annotations

import re
from typing import Any, Dict, Iterator, List, Literal

from personaplex_provision.agent.host import Host
from personaplex_provision.agent.record import dataclass
from personaplex_provision.agent.resource import Address, Change, Resource, ResourceError, observed

EXAMPLE = """
- name: the machine's name
  hostname:
    name: "{{ inventory_hostname_short }}"
"""

_FILE = "/etc/hostname"
_RUNNING = "/proc/sys/kernel/hostname"


@dataclass
class Hostname(Resource):
    """The machine's name, in /etc/hostname and in the running system.

    Taken back: the file exactly, the running name by setting it again.
    """

    kind = "hostname"
    reversible_why = "The file comes back as it was, and the running name is set again."
    identity = ()
    unmanaged = ("use",)

    name: str
    "The name: letters, digits and dashes, parts separated by dots, 64 characters at most."
    use: Literal["systemd", "debian", "generic"] | None = None
    "Accepted for playbooks that say it: what works on the host is used."
    running: str | None = observed()
    "The name of the running system."

    def validate(self) -> Iterator[str]:
        label = r"[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
        if len(self.name) > 64 or not re.fullmatch(rf"{label}(\.{label})*", self.name):
            yield f'"{self.name}" is no name of a host: letters, digits and dashes, parts separated by dots'

    def observe(self, host: Host) -> Hostname:
        text = host.read_text(_FILE) if host.stat(_FILE, follow=True).type == "file" else ""
        names = [one.strip() for one in text.splitlines() if one.strip() and not one.startswith("#")]
        return Hostname(names[0] if names else "", running=host.read_text(_RUNNING).strip())

    def diff(self, now: Hostname) -> List[Change]:
        found = super().diff(now)
        if now.running != self.name:
            found.append(Change("running", now.running, self.name))
        return found

    def action(self, now: Hostname, changes: List[Change]) -> str:
        return "update" if changes else "none"

    def converge(self, now: Hostname, host: Host) -> None:
        if now.name != self.name:
            host.write(_FILE, f"{self.name}\n".encode())
        if now.running == self.name:
            return
        if host.planning:
            host.write(_RUNNING, f"{self.name}\n".encode())
        else:
            _set_running(host, self.name)

    def restore(self, before: Hostname, host: Host) -> None:
        if before.running and host.read_text(_RUNNING).strip() != before.running:
            _set_running(host, before.running)

    def standing(self, host: Host) -> Dict[str, Any]:
        return {"running": host.read_text(_RUNNING).strip()}

    def provides(self) -> List[Address]:
        return [("path", _FILE)]

    def needs(self) -> List[Address]:
        return []

    def result(self, now: Hostname, after: Hostname, host: Host) -> Dict[str, Any]:
        facts = {"ansible_hostname": self.name.split(".")[0], "ansible_nodename": self.name}
        return {"name": self.name, "ansible_facts": facts}


def _set_running(host: Host, name: str) -> None:
    found = host.run(["hostname", name] if host.which("hostname") else ["hostnamectl", "hostname", name], check=False)
    if found.rc != 0:
        raise ResourceError(f"the running name cannot be set to {name}", found.stderr.strip())
