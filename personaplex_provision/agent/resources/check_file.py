"""The `check_file` kind."""

from __future__ import annotations

import fnmatch
import os
from typing import Any, Dict, Iterator

from personaplex_provision.agent.host import Host
from personaplex_provision.agent.record import dataclass
from personaplex_provision.agent.resource import Address, ResourceError
from personaplex_provision.agent.resources._check import Check, Matcher

EXAMPLE = """
- name: the token is for its owner alone
  check_file: {path: /home/alex/.config/hf.env, mode: "0600", owner: alex}

- name: all voices are there
  check_file: {path: /srv/voices, type: directory, pattern: "*.pt", entries: 18}
"""
_LARGEST = 16 << 20
"""Bytes up to which a file's text is looked at."""


@dataclass
class CheckFile(Check):
    """What is at a path: type, mode, owner, size, content, or how many entries a directory has."""

    kind = "check_file"
    free_form = "path"
    matched = ("type", "mode", "owner", "group", "size", "sha256", "content", "entries", "target")

    path: str
    "The path; links are followed, unless `target` is asked for."
    exists: bool = True
    "Whether something must be there; with `no`, nothing may be."
    type: Matcher | None = None
    "`file`, `directory`, `link` or `other`."
    mode: Matcher | None = None
    'Permission bits as four octal digits, in quotes: "0600".'
    owner: Matcher | None = None
    "Name of its owner."
    group: Matcher | None = None
    "Name of its group."
    size: Matcher | None = None
    "Bytes of a file."
    sha256: Matcher | None = None
    "Digest of a file's content."
    content: Matcher | None = None
    "Text of a file of at most 16 MiB."
    pattern: str = "*"
    "Which names count for `entries`."
    entries: Matcher | None = None
    "How many entries a directory has."
    target: Matcher | None = None
    "What a link points to."

    def validate(self) -> Iterator[str]:
        yield from super().validate()
        if not self.path.startswith(("/", "~")):
            yield "path must be absolute"
        if not self.exists and any(getattr(self, one) is not None for one in self.matched):
            yield "exists: no excludes everything else"
        if isinstance(self.mode, (int, float)):
            yield 'mode is written in quotes, as four digits: "0600"'

    def needs(self) -> list[Address]:
        return []

    def title(self) -> str:
        return self.path

    def look(self, host: Host) -> Dict[str, Any]:
        path = host.expand(self.path)
        entry = host.stat(path, follow=self.target is None)
        if entry.exists != self.exists:
            dangling = host.stat(path).type == "link" and self.exists
            what = "is a link to nothing" if dangling else "does not exist" if self.exists else "exists, and must not"
            raise ResourceError(f"{self.path} {what}", result={"exists": entry.exists})
        if not entry.exists:
            return {"exists": False}
        found: Dict[str, Any] = {
            "exists": True, "type": entry.type, "mode": f"{entry.mode:04o}", "owner": host.owner_name(entry.uid),
            "group": host.group_name(entry.gid), "size": entry.size, "target": entry.target or None,
        }
        if self.sha256 is not None and entry.type == "file":
            found["sha256"] = host.digest(path).sha256
        if self.content is not None and entry.type == "file":
            if entry.size > _LARGEST:
                raise ResourceError(f"{self.path} has {entry.size >> 20} MiB: too much to look at its content")
            found["content"] = host.read_text(path)
        if self.entries is not None and entry.type == "directory":
            found["entries"] = len(fnmatch.filter(os.listdir(path), self.pattern))
        return found

    def result(self, now: Any, after: Any, host: Host) -> Dict[str, Any]:
        return {name: value for name, value in super().result(now, after, host).items() if name != "content"}
