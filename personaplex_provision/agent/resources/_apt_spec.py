"""How a package is asked for, `name`, `name=version` or `name>=version`, and whether its version can be had again."""

from __future__ import annotations

import re
from typing import List, Tuple

from personaplex_provision.agent.host import Host
from personaplex_provision.agent.resources._apt_transaction import Step
from personaplex_provision.agent.resources._repack import room_for

SPEC = re.compile(r"^([a-z0-9][a-z0-9+.-]+(?::[a-z0-9-]+)?)(?:(>?=)([^=\s]\S*))?$")


def parts(spec: str) -> Tuple[str, str, str]:
    """Name, sign and version; the last two empty when only the name was given."""
    found = SPEC.match(spec)
    return (found.group(1), found.group(2) or "", found.group(3) or "") if found else (spec, "", "")


def name_of(spec: str) -> str:
    """The name alone."""
    return parts(spec)[0]


def pinned(specs: List[str], name: str) -> str:
    """The version asked for of a package, when it is one and no pattern."""
    for spec in specs:
        one, sign, version = parts(spec)
        if one == name and sign == "=" and "*" not in version:
            return version
    return ""


def lost_versions(host: Host, steps: List[Step]) -> List[str]:
    """The packages that change or go, whose present version no source and no cache has, and the disk no room for."""
    going = [(name, old) for name, old, new in steps if old and old != new]
    if not going:
        return []
    said = host.query(["apt-cache", "madison", *(name for name, _ in going)], timeout=120).stdout
    rows = [[part.strip() for part in line.split("|")] for line in said.splitlines()]
    offered = {(row[0], row[1]) for row in rows if len(row) > 2 and not row[2].endswith("Sources")}
    try:
        cached = {tuple(one.split("_")[:2]) for one in host.list("/var/cache/apt/archives")}
    except OSError:
        cached = set()
    found = [
        name for name, old in going
        if (name.split(":")[0], old) not in offered and (name.split(":")[0], old.replace(":", "%3a")) not in cached
    ]
    return [] if room_for(found, host.store.root) else found
