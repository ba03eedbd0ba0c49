"""The `check_memory` kind."""

from __future__ import annotations

import os
from typing import Any, Dict

from personaplex_provision.agent.host import Host
from personaplex_provision.agent.record import dataclass
from personaplex_provision.agent.resources._check import Check, Matcher

EXAMPLE = """
- name: there is memory for the weights
  check_memory:
    total_gib: {ge: 15.5}
    available_gib: {ge: 8}
"""


@dataclass
class CheckMemory(Check):
    """The host's memory."""

    kind = "check_memory"
    matched = ("total_gib", "available_gib", "swap_gib")

    total_gib: Matcher | None = None
    "All of it, in GiB; the kernel keeps a little of what is built in."
    available_gib: Matcher | None = None
    "What programs can still have without swapping, in GiB."
    swap_gib: Matcher | None = None
    "Swap space in GiB, used or not."

    def look(self, host: Host) -> Dict[str, Any]:
        with open("/proc/meminfo", encoding="ascii", errors="replace") as file:
            rows = dict(line.split(":", 1) for line in file if ":" in line)

        def gib(name: str) -> float:
            return round(int(rows.get(name, "0 kB").split()[0]) / (1 << 20), 2)

        return {"total_gib": gib("MemTotal"), "available_gib": gib("MemAvailable"), "swap_gib": gib("SwapTotal")}

    def advice(self, field: str, found: Dict[str, Any]) -> str:
        if "microsoft" in os.uname().release.lower():
            return ("WSL gets half of the machine's memory unless %UserProfile%\\.wslconfig says more: `memory=` below "
                    "`[wsl2]`, then `wsl --shutdown`")
        return "close what uses it (`ps aux --sort=-rss | head`)" if field == "available_gib" else ""
