"""How a package is asked for, `name`, `name=version` or `name>=version`; which are missing, and can be had again."""

from __future__ import annotations

import fnmatch
import re
from typing import Dict, List, Mapping, Tuple

from personaplex_provision.agent.host import Host
from personaplex_provision.agent.packages import Package
from personaplex_provision.agent.resources._apt_transaction import Step
from personaplex_provision.agent.resources._debian_version import compare
from personaplex_provision.agent.resources._repack import room_for

LATER = "(version known after apply)"
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


def lacking(
    packages: Mapping[str, Package], specs: List[str], state: str, purge: bool, only_upgrade: bool,
) -> Dict[str, str]:
    """The packages that are not as wanted, with the version they have now."""
    found = {}
    for spec in specs:
        if spec == "*":
            continue
        name, sign, version = parts(spec)
        one = packages.get(name) or packages.get(name.split(":")[0] if name.endswith(":all") else name)
        there = one is not None and one.status == "installed"
        if state == "absent":
            if there or (purge and one is not None and one.status == "config-files"):
                found[name] = one.version if one else ""
        elif not there or one is None:
            if not only_upgrade:
                found[name] = ""
        elif (sign == ">=" and compare(one.version, version) < 0) or (
            sign == "=" and not fnmatch.fnmatchcase(one.version, version) and one.version != LATER
        ):
            found[name] = one.version
    return found


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
