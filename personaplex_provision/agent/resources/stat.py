"""The `stat` kind."""

from __future__ import annotations

import hashlib
import os
from typing import Any, Dict, Iterator, List, Literal

from personaplex_provision.agent.host import Host
from personaplex_provision.agent.machine import Entry
from personaplex_provision.agent.record import dataclass
from personaplex_provision.agent.resource import Address, ResourceError, observed
from personaplex_provision.agent.resources._attributes import check_path
from personaplex_provision.agent.resources._effectless import Effectless

EXAMPLE = """
- name: is the model there
  stat:
    path: /srv/models/current
    get_checksum: false
  register: model
"""


@dataclass
class Stat(Effectless):
    """What is at a path: `register` gets `stat.exists`, `stat.isdir`, `stat.mode`, `stat.checksum` and the rest.

    It only reads, so it is answered while planning, too, and there is nothing to take back.
    """

    kind = "stat"
    aliases = {"dest": "path", "name": "path", "checksum": "checksum_algorithm", "checksum_algo": "checksum_algorithm"}
    probe = True

    path: str
    "The path to look at."
    follow: bool = False
    "Whether a link is followed."
    get_checksum: bool = True
    "Whether the content of a file is summed."
    checksum_algorithm: Literal["md5", "sha1", "sha224", "sha256", "sha384", "sha512"] = "sha1"
    "How the content is summed."
    get_mime: bool = False
    "Accepted for playbooks that say it: the type of a file's content is not looked for."
    get_attributes: bool = False
    "Accepted for playbooks that say it: the flags of lsattr are not looked for."
    found: Dict[str, Any] | None = observed()
    "What is there."

    def validate(self) -> Iterator[str]:
        yield from check_path("path", self.path)

    def observe(self, host: Host) -> Stat:
        path = host.expand(self.path)
        entry = host.stat(path, follow=self.follow)
        return Stat(self.path, found=self._describe(host, path, entry) if entry.exists else {"exists": False})

    def result(self, now: Stat, after: Stat, host: Host) -> Dict[str, Any]:
        return {"stat": now.found}

    def needs(self) -> List[Address]:
        return [("path", self.path)]

    def _describe(self, host: Host, path: str, entry: Entry) -> Dict[str, Any]:
        mode, seconds = entry.mode, entry.mtime / 1e9
        found: Dict[str, Any] = {
            "exists": True, "path": path, "mode": f"{mode:04o}", "uid": entry.uid, "gid": entry.gid,
            "pw_name": host.owner_name(entry.uid), "gr_name": host.group_name(entry.gid), "size": entry.size,
            "inode": entry.inode, "dev": entry.device, "nlink": entry.nlink, "mtime": seconds,
            "isreg": entry.type == "file", "isdir": entry.type == "directory", "islnk": entry.type == "link",
            "ischr": False, "isblk": False, "isfifo": False, "issock": False,
            "isuid": bool(mode & 0o4000), "isgid": bool(mode & 0o2000),
        }
        for place, who in ((6, "usr"), (3, "grp"), (0, "oth")):
            for bit, what in ((4, "r"), (2, "w"), (1, "x")):
                found[f"{what}{who}"] = bool(mode >> place & bit)
        mine = _mine(host, entry)
        found.update(readable=bool(mine & 4), writeable=bool(mine & 2), executable=bool(mine & 1))
        if entry.type == "other":
            found.update(_special(path))
        if entry.type == "link":
            found["lnk_target"] = entry.target
            found["lnk_source"] = host.realpath(path)
        if entry.type == "file" and self.get_checksum:
            found["checksum"] = self._checksum(host, path)
        return found

    def _checksum(self, host: Host, path: str) -> str:
        if self.checksum_algorithm == "sha256":
            return host.digest(path).sha256
        try:
            return hashlib.new(self.checksum_algorithm, host.read(path)).hexdigest()
        except ValueError:
            raise ResourceError(f"{self.checksum_algorithm} is not there on this host") from None


def _mine(host: Host, entry: Entry) -> int:
    """The rwx bits that count for who the task runs as."""
    if host.identity.uid == 0:
        return 6 | (1 if entry.mode & 0o111 or entry.type == "directory" else 0)
    if host.identity.uid == entry.uid:
        return entry.mode >> 6 & 7
    groups = {host.identity.gid, *(host.identity.groups or os.getgroups())}
    return entry.mode >> 3 & 7 if entry.gid in groups else entry.mode & 7


def _special(path: str) -> Dict[str, bool]:
    import stat

    mode = os.lstat(path).st_mode
    return {
        "ischr": stat.S_ISCHR(mode), "isblk": stat.S_ISBLK(mode),
        "isfifo": stat.S_ISFIFO(mode), "issock": stat.S_ISSOCK(mode),
    }
