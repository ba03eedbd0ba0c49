"""What the kinds that manage accounts share: the files they touch, shadow's rows, who is in which group."""

from __future__ import annotations

import grp
from typing import List, Optional, Set

from personaplex_provision.agent.host import Host
from personaplex_provision.agent.row import NamedTuple

_TABLES = ("passwd", "shadow", "group", "gshadow", "subuid", "subgid")
ACCOUNT_FILES = tuple(f"/etc/{table}{suffix}" for table in _TABLES for suffix in ("", "-"))
"""Every file in which shadow's tools note an account, with the copies they keep of the last state."""

ACCOUNT_TRACES = tuple(f"/etc/{table}{suffix}" for table in _TABLES for suffix in (".lock", "+"))
"""What a tool that was killed leaves behind: locks and files half written."""


class Shadow(NamedTuple):
    """A row of shadow: the hash, and the day the account expires (days since 1970, None for never)."""

    hash: str
    expires: Optional[int]


def shadow(host: Host, name: str) -> Optional[Shadow]:
    """The row of a user in shadow; None when there is none. Raises PermissionError unless root."""
    said = host.declared("shadow", name)
    if isinstance(said, Shadow):
        return said
    try:
        text = host.read_text("/etc/shadow")
    except FileNotFoundError:
        return None
    for line in text.splitlines():
        parts = line.split(":")
        if parts[0] == name and len(parts) > 7:
            return Shadow(parts[1], int(parts[7]) if parts[7].lstrip("-").isdigit() else None)
    return None


def groups_of(host: Host, name: str, also: List[str]) -> Set[str]:
    """The groups that list `name` as a member; `also` names groups an earlier task may have declared."""
    everyone: List[grp.struct_group] = host.machine.remember("groups", grp.getgrall)
    rows = {one.gr_name: one.gr_mem for one in reversed(everyone)}  # of two of one name the first counts
    if not host.planning:
        return {group for group, members in rows.items() if name in members}
    found = set()
    for group in rows.keys() | set(also):
        row = host.group(group)
        if row is not None and name in row.members:
            found.add(group)
    return found
