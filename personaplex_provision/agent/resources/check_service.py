"""The `check_service` kind."""

from __future__ import annotations

from typing import Any, Dict

from personaplex_provision.agent.host import Host
from personaplex_provision.agent.record import dataclass, field
from personaplex_provision.agent.resource import ResourceError
from personaplex_provision.agent.resources._check import Check, Matcher, ask

EXAMPLE = """
- name: the server runs, and has not been restarted
  check_service:
    name: personaplex
    restarts: {le: 1}
"""
_PROPERTIES = ("LoadState", "ActiveState", "SubState", "UnitFileState", "NRestarts", "MainPID", "Result",
               "MemoryCurrent")


@dataclass
class CheckService(Check):
    """A systemd unit: whether it runs, starts at boot, and how often it had to be restarted."""

    kind = "check_service"
    free_form = "name"
    matched = ("active", "enabled", "restarts", "memory_mib")

    name: str
    "The unit; `.service` may be left out."
    user: bool = False
    "Whether it is a unit of the user the check runs as."
    active: Matcher | None = field(default_factory=lambda: {"equals": "active"})
    "`active`, `inactive`, `failed`, `activating` …"
    enabled: Matcher | None = None
    "`enabled`, `disabled`, `static` …"
    restarts: Matcher | None = None
    "How often systemd restarted it."
    memory_mib: Matcher | None = None
    "Memory of all its processes in MiB."

    def title(self) -> str:
        return f"unit {self.name}"

    def look(self, host: Host) -> Dict[str, Any]:
        argv = ["systemctl", *(["--user"] if self.user else []), "show", f"--property={','.join(_PROPERTIES)}", "--",
                self.name if "." in self.name else f"{self.name}.service"]
        env = {"XDG_RUNTIME_DIR": f"/run/user/{host.identity.uid}"} if self.user else None
        found = ask(host, argv, 30, env)
        said = dict(line.split("=", 1) for line in found.stdout.splitlines() if "=" in line)
        if found.rc != 0 or said.get("LoadState") == "not-found":
            why = found.stderr.strip() or f"there is no unit {self.name}"
            raise ResourceError(f"unit {self.name} cannot be asked: {why}" if found.rc else why)
        memory = said.get("MemoryCurrent", "")
        return {
            "active": said.get("ActiveState"), "sub": said.get("SubState"), "enabled": said.get("UnitFileState"),
            "restarts": int(said.get("NRestarts") or 0), "pid": int(said.get("MainPID") or 0),
            "result": said.get("Result"),
            "memory_mib": int(memory) >> 20 if memory.isdigit() and len(memory) < 19 else None,
        }

    def advice(self, field: str, found: Dict[str, Any]) -> str:
        return f"what it said: journalctl -u {self.name} -n 50" if field in ("active", "restarts") else ""
