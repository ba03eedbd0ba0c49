"""The `check_process` kind."""

from __future__ import annotations

import contextlib
import os
import re
from typing import Any, Dict, Iterator, List

from personaplex_provision.agent.host import Host
from personaplex_provision.agent.record import dataclass, field
from personaplex_provision.agent.resources._check import Check, Matcher
from personaplex_provision.agent.resources._editing import check_expression

EXAMPLE = """
- name: the server runs once, and not as root
  check_process:
    pattern: -m moshi\\.server
    count: 1
    user: {matches: "^(?!root$)"}
"""


@dataclass
class CheckProcess(Check):
    """How many processes of a name or command line run, as whom, and with how much memory."""

    kind = "check_process"
    matched = ("count", "user", "memory_mib")

    name: str | None = None
    "Name of the program, as `ps -o comm` shows it."
    pattern: str | None = None
    "Regular expression for the whole command line, instead of `name` or besides it."
    count: Matcher | None = field(default_factory=lambda: {"ge": 1})
    "How many there are."
    user: Matcher | None = None
    "The users they run as, without repetition."
    memory_mib: Matcher | None = None
    "Resident memory of all of them together, in MiB."

    def validate(self) -> Iterator[str]:
        yield from super().validate()
        yield from check_expression("pattern", self.pattern, 0)
        if self.name is None and self.pattern is None:
            yield "check_process needs name or pattern"

    def title(self) -> str:
        return " ".join(one for one in ("process", self.name, self.pattern and f"/{self.pattern}/") if one)

    def look(self, host: Host) -> Dict[str, Any]:
        found = [one for one in _processes() if self._fits(one)]
        users = sorted({host.owner_name(one["uid"]) for one in found})
        return {"count": len(found), "user": users, "pids": [one["pid"] for one in found],
                "memory_mib": sum(one["memory_kib"] for one in found) // 1024}

    def _fits(self, process: Dict[str, Any]) -> bool:
        # Whoever asks by pattern has the pattern on his own command line, and does not mean himself.
        mine = process["pid"] in (os.getpid(), os.getppid())
        return not mine and self.name in (None, process["name"]) and (
            self.pattern is None or re.search(self.pattern, process["command"]) is not None)


def _processes() -> List[Dict[str, Any]]:
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        with contextlib.suppress(OSError, ValueError):  # one that has ended meanwhile
            with open(f"/proc/{pid}/cmdline", "rb") as file:
                command = file.read().replace(b"\0", b" ").decode("utf-8", "replace").strip()
            with open(f"/proc/{pid}/status", encoding="utf-8", errors="replace") as file:
                status = dict(line.rstrip("\n").split(":\t", 1) for line in file if ":\t" in line)
            if status.get("State", "").startswith("Z"):
                continue
            found.append({
                "pid": int(pid), "name": status["Name"], "command": command, "uid": int(status["Uid"].split()[1]),
                "memory_kib": int(status.get("VmRSS", "0 kB").split()[0]),
            })
    return found
