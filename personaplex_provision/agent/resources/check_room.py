"""The `check_room` kind."""

from __future__ import annotations

import os
from typing import Any, Dict, Iterator, List

from personaplex_provision.agent.host import Host
from personaplex_provision.agent.record import dataclass, field
from personaplex_provision.agent.resource import ResourceError
from personaplex_provision.agent.resources._check import Check
from personaplex_provision.agent.space import free, mount_point

EXAMPLE = """
- name: there is room for all that comes
  check_room:
    purposes:
      - {path: /home/alex/.cache/huggingface, gib: 16, what: the model, done: /home/alex/.cache/huggingface/model}
      - {path: /usr, gib: 8, what: the CUDA toolkit}
"""
_KEYS = {"path", "gib", "what", "done"}


@dataclass
class CheckRoom(Check):
    """Whether each file system has room for all that is to come to it, added up by purpose.

    A purpose is a mapping: `path` where it goes, `gib` what it takes, `what` it is, and `done`, a path that is there
    when it takes nothing more.
    """

    kind = "check_room"

    purposes: List[Dict[str, Any]] = field(default_factory=list)
    "What is to come, and where."

    def validate(self) -> Iterator[str]:
        for one in self.purposes:
            if not {"path", "gib", "what"} <= set(one) or set(one) - _KEYS:
                yield f"a purpose has path, gib, what and perhaps done, and this one {', '.join(one) or 'nothing'}"
            elif not _number(one["gib"]):
                yield f"gib of {one['what']} is a number, and not {one['gib']!r}"

    def look(self, host: Host) -> Dict[str, Any]:
        wanted: Dict[str, List[Dict[str, Any]]] = {}
        for one in self.purposes:
            if not (one.get("done") and os.path.exists(host.expand(str(one["done"])))):
                wanted.setdefault(mount_point(host.expand(str(one["path"]))), []).append(one)
        rows = [_row(mount, ones) for mount, ones in sorted(wanted.items())]
        short = [one for one in rows if one["needed_gib"] > one["free_gib"]]
        found = {"file_systems": rows, "needed_gib": round(sum(one["needed_gib"] for one in rows), 1)}
        if short:
            said = "; ".join(
                f"{one['mount']} has {one['free_gib']:g} GiB free, and {one['needed_gib']:g} are needed: {one['what']}"
                for one in short)
            mount = short[0]["mount"]
            raise ResourceError(said, "", f"make room on {mount} (`du -xh --max-depth=2 {mount} | sort -h | tail`)",
                                {**found, "msg": said})
        return found


def _row(mount: str, ones: List[Dict[str, Any]]) -> Dict[str, Any]:
    needed = sum(float(one["gib"]) for one in ones)
    return {"mount": mount, "free_gib": round(free(mount) / (1 << 30), 1), "needed_gib": round(needed, 1),
            "what": ", ".join(f"{float(one['gib']):g} for {one['what']}" for one in ones)}


def _number(value: Any) -> bool:
    try:
        return float(value) >= 0
    except (TypeError, ValueError):
        return False
