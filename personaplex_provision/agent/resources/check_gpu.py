"""The `check_gpu` kind."""

from __future__ import annotations

import os
import re
from typing import Any, Dict, Iterator, List

from personaplex_provision.agent.host import Host
from personaplex_provision.agent.record import dataclass, field
from personaplex_provision.agent.resource import ResourceError
from personaplex_provision.agent.resources._check import Check, Matcher, ask, last_lines

EXAMPLE = """
- name: the card will do
  check_gpu:
    compute_capability: {ge: "8.0"}
    driver: {ge: "570"}
    free_gib: {ge: 20}
    temperature: {lt: 85}
"""
PROGRAMS = ("/usr/bin/nvidia-smi", "/usr/lib/wsl/lib/nvidia-smi", "/usr/local/bin/nvidia-smi")
"Where nvidia-smi is; WSL has it from Windows, outside the PATH of most shells."
_QUERY = ("name", "driver_version", "compute_cap", "memory.total", "memory.free", "temperature.gpu", "utilization.gpu")


@dataclass
class CheckGpu(Check):
    """An NVIDIA card as nvidia-smi sees it; of several, that with the most free memory."""

    kind = "check_gpu"
    matched = ("count", "name", "compute_capability", "driver", "memory_gib", "free_gib", "temperature", "utilization")

    index: int | None = None
    "Number of the card."
    program: str | None = None
    "Path of nvidia-smi; the usual places are known."
    count: Matcher | None = field(default_factory=lambda: {"ge": 1})
    "How many cards there are."
    name: Matcher | None = None
    "Its name."
    compute_capability: Matcher | None = None
    'What it computes, in quotes: "8.0" and later have bfloat16, "12.0" is Blackwell.'
    driver: Matcher | None = None
    'Version of its driver, in quotes: "570" is the first for CUDA 12.8, "580" for CUDA 13.'
    memory_gib: Matcher | None = None
    "Its memory in GiB."
    free_gib: Matcher | None = None
    "What other processes leave of it, in GiB."
    temperature: Matcher | None = None
    "Degrees Celsius."
    utilization: Matcher | None = None
    "How busy it is, in percent."

    def validate(self) -> Iterator[str]:
        yield from super().validate()
        for name in ("compute_capability", "driver"):
            values = getattr(self, name)
            for one in values.values() if isinstance(values, dict) else [values]:
                if any(isinstance(each, float) for each in (one if isinstance(one, list) else [one])):
                    yield f"{name} is a version: write it in quotes, so that 12.10 does not become 12.1"

    def title(self) -> str:
        return "the NVIDIA card" if self.index is None else f"NVIDIA card {self.index}"

    def look(self, host: Host) -> Dict[str, Any]:
        cards = self._cards(host)
        if self.index is not None and self.index >= len(cards):
            raise ResourceError(f"there is no card {self.index}: nvidia-smi lists {len(cards)}")
        if not cards:
            return {"count": 0}
        card = cards[self.index] if self.index is not None else max(cards, key=lambda one: float(one["free_gib"] or 0))
        return {"count": len(cards), **card}

    def advice(self, field: str, found: Dict[str, Any]) -> str:
        if field == "driver":
            return _IN_WINDOWS if _wsl() else "install a newer driver: apt, then restart the machine"
        if field == "free_gib":
            return "close what uses the card: nvidia-smi lists the processes"
        return "let it cool: a card slows down from 85 °C on" if field == "temperature" else ""

    def _cards(self, host: Host) -> List[Dict[str, Any]]:
        program = host.expand(self.program) if self.program else next(filter(os.path.exists, PROGRAMS), None)
        program = program or host.which("nvidia-smi")
        if program is None:
            raise ResourceError("no NVIDIA card is visible: there is no nvidia-smi", "", _IN_WINDOWS if _wsl() else
                                "install the NVIDIA driver, then restart the machine", {"count": 0})
        found = ask(host, [program, f"--query-gpu={','.join(_QUERY)}", "--format=csv,noheader,nounits"], 30)
        if found.rc != 0:
            said = last_lines(found)
            raise ResourceError(f"{program} failed with exit status {found.rc}", said, _why(said), {"count": 0})
        return [card for card in map(_card, found.stdout.splitlines()) if card]


_IN_WINDOWS = ("in WSL the driver belongs to Windows: install it there, never a Linux driver here, then in Windows: "
               "wsl --update and wsl --shutdown")


def _wsl() -> bool:
    return "microsoft" in os.uname().release.lower()


def _why(said: str) -> str:
    if "couldn't communicate with the NVIDIA driver" in said or "Driver/library version mismatch" in said:
        return _IN_WINDOWS if _wsl() else "the driver was updated or is not loaded: restart the machine"
    return _IN_WINDOWS if _wsl() else ""


def _card(line: str) -> Dict[str, Any]:
    fields = [one.strip() for one in line.split(",")]
    if len(fields) != len(_QUERY):
        return {}
    name, driver, capability, total, free, temperature, utilization = fields
    return {
        "name": name, "driver": driver, "compute_capability": capability, "memory_gib": _gib(total),
        "free_gib": _gib(free), "temperature": _number(temperature), "utilization": _number(utilization),
    }


def _number(text: str) -> float | None:
    return float(text) if re.fullmatch(r"[\d.]+", text) else None


def _gib(text: str) -> float | None:
    number = _number(text)
    return None if number is None else round(number / 1024, 2)
