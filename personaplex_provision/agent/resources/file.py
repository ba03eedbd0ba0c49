"""The `file` kind."""

from __future__ import annotations

import os
from typing import Any, Dict, Iterator, List, Literal, Optional

from personaplex_provision.agent.host import Host
from personaplex_provision.agent.machine import Entry
from personaplex_provision.agent.record import dataclass
from personaplex_provision.agent.resource import Address, Change, ResourceError, Unpredictable, observed
from personaplex_provision.agent.resources._attributes import (
    PathResource,
    apply_attributes,
    awaited,
    born_mode,
    group_id,
    need_parent,
    observe_attributes,
    user_id,
)

EXAMPLE = """
- name: a directory for the models
  file:
    path: /srv/models
    state: directory
    owner: root
    group: root
    mode: "0755"

- name: the current model
  file:
    path: /srv/models/current
    src: /srv/models/v1
    state: link
    force: true
"""


@dataclass
class File(PathResource):
    """A file, directory or link: that it exists, what owns it, or that it is gone.

    Taken back exactly: what was at each path is kept before it is changed. A `touch` only makes sure that the file
    exists; it leaves the times of a file that is there as they are.
    """

    kind = "file"
    reversible_why = "What was at the path is kept whole before it is changed or removed, and comes back as it was."
    describes = True
    aliases = {"dest": "path", "name": "path"}
    unmanaged = ("force", "follow", "recurse", "modification_time", "access_time")

    state: Literal["file", "directory", "link", "hard", "touch", "absent"] | None = None
    "`file` and nothing only set owner, group and mode of what is there; `directory` makes missing parents too."
    src: str | None = None
    "What a `link` or `hard` link points to; a link's may be relative to the directory that holds it."
    recurse: bool = False
    "Whether owner, group and mode go to everything inside a directory; what links point to is left alone."
    follow: bool = True
    "Whether owner, group and mode of a link go to what it points to."
    force: bool = False
    "Whether a link may point to nothing yet, and replace a file or an empty directory."
    modification_time: Literal["preserve"] | None = None
    "Accepted for playbooks that say it: times are always left as they are."
    access_time: Literal["preserve"] | None = None
    "Accepted for playbooks that say it: times are always left as they are."
    inside: List[str] | None = observed()
    "Paths inside the directory whose owner, group or mode differ."

    def validate(self) -> Iterator[str]:
        yield from super().validate()
        if self.state in ("link", "hard") and not self.src:
            yield f"state {self.state} needs src, what it points to"
        if self.src and self.state not in ("link", "hard"):
            yield "src says what a link points to and needs state link or hard"
        if self.recurse and self.state not in ("directory", None):
            yield "recurse needs state directory"
        if self.state == "absent" and self.path.rstrip("/") in ("", "~"):
            yield f"path {self.path} is not something to remove"

    def observe(self, host: Host) -> File:
        at = self._at(host)
        entry = host.stat(at)
        now = File(self.path, state=_state(entry))
        if self.state == "absent":
            return now
        if self.state == "touch" and entry.exists:
            now.state = "touch"
        elif self.state == "hard" and self._same_inode(host, entry):
            now.state, now.src = "hard", self.src
        elif self.state is None and entry.exists:
            now.state = None
        if entry.type == "link" and self.state == "link":
            now.src = self.src if entry.target == host.expand(self.src or "") else entry.target
        dressed = self._dressed(host, at)
        seen = observe_attributes(host, host.stat(dressed), self) if dressed else {}
        now.owner, now.group, now.mode = seen.get("owner"), seen.get("group"), seen.get("mode")
        if self.recurse and entry.type == "directory":
            now.inside = [one for one in _walk(host, at) if self._differs(host, one)]
        return now

    def diff(self, now: File) -> List[Change]:
        if self.state == "absent":
            return [Change("state", now.state, "absent")] if now.state != "absent" else []
        if self.state is None and now.state == "absent":
            return [Change("state", "absent", "file")]
        if self.state == "link" and now.state == "link" and now.src == self.src and now.mode is None:
            return []  # it points to nothing yet, which has neither owner nor mode
        found = super().diff(now)
        if now.inside:
            count = len(now.inside)
            found.append(Change("inside", f"{count} path{'s' * (count > 1)} differ", "as the directory"))
        return found

    def converge(self, now: File, host: Host) -> None:
        at = self._at(host)
        entry = host.stat(at)
        if self.state == "absent":
            host.remove(at)
            return
        if self.state in ("link", "hard"):
            self._link(host, at, entry)
        elif self.state == "directory":
            self._directory(host, at, entry)
        elif self.state == "touch" and not entry.exists:
            need_parent(host, at)
            uid, gid = user_id(host, self.owner), group_id(host, self.group)
            host.write(at, b"", mode=born_mode(self.mode), uid=uid, gid=gid)
        elif not entry.exists:
            if awaited(host):
                raise Unpredictable(f"{at} is not there yet")
            raise ResourceError(
                f"{at} does not exist", hint="`state: touch` makes an empty file, `state: directory` a directory",
            )
        elif self.state == "file" and entry.type != "file":
            raise ResourceError(f"{at} is no file but a {entry.type}")
        dressed = self._dressed(host, at)
        if dressed:
            apply_attributes(host, dressed, self.owner, self.group, self.mode)
        for one in now.inside or []:
            apply_attributes(host, one, self.owner, self.group, self.mode)

    def result(self, now: File, after: File, host: Host) -> Dict[str, Any]:
        found = super().result(now, after, host)
        return {**found, "dest": found["path"]} if self.state else found

    def provides(self) -> List[Address]:
        return [] if self.state == "absent" else super().provides()

    def needs(self) -> List[Address]:
        found = super().needs()
        if self.state in ("link", "hard") and self.src:
            found.append(("path", os.path.normpath(os.path.join(os.path.dirname(self.path), self.src))))
        return found

    def _at(self, host: Host) -> str:
        """The path that is managed: what a link points to, unless the link itself is meant."""
        path = host.expand(self.path)
        path = path.rstrip("/") or "/"
        if self.follow and self.state in ("file", "directory", "touch") and host.stat(path).type == "link":
            return host.realpath(path)
        return path

    def _dressed(self, host: Host, at: str) -> Optional[str]:
        """The path whose owner and mode are set, None for a link into nothing."""
        if self.follow and host.stat(at).type == "link":
            real = host.realpath(at)
            return real if host.stat(real).exists else None
        return at

    def _same_inode(self, host: Host, entry: Entry) -> bool:
        source = host.stat(host.expand(self.src or ""))
        return entry.type == "file" and (entry.inode, entry.device) == (source.inode, source.device)

    def _differs(self, host: Host, path: str) -> bool:
        entry = host.stat(path)
        seen = observe_attributes(host, entry, self)
        wrong = [one for one in ("owner", "group", "mode") if getattr(self, one) not in (None, seen.get(one))]
        return bool(wrong) and not (entry.type == "link" and wrong == ["mode"])

    def _directory(self, host: Host, at: str, entry: Entry) -> None:
        if entry.type == "directory":
            return
        if entry.exists:
            raise ResourceError(f"{at} exists and is a {entry.type}", hint="remove it first: `file: state=absent`")
        missing = [at]
        while not host.stat(os.path.dirname(missing[-1]), follow=True).exists:
            missing.append(os.path.dirname(missing[-1]))
        for one in reversed(missing):
            host.mkdir(one, mode=born_mode(self.mode, directory=True))
            apply_attributes(host, one, self.owner, self.group, self.mode)

    def _link(self, host: Host, at: str, entry: Entry) -> None:
        source = host.expand(self.src or "")
        if self.state == "link" and entry.type == "link" and entry.target == source:
            return
        if self.state == "hard" and self._same_inode(host, entry):
            return
        need_parent(host, at)
        target = host.stat(os.path.join(os.path.dirname(at), source), follow=True)
        if not target.exists and (self.state == "hard" or not self.force):
            if awaited(host):
                raise Unpredictable(f"{source} is not there yet")
            hint = "" if self.state == "hard" else "`force: true` makes the link all the same"
            raise ResourceError(f"{source}, which the link is to point to, does not exist", hint=hint)
        if entry.type == "directory" and (not self.force or host.list(at)):
            hint = "only an empty directory is replaced" if self.force else "`force: true` replaces an empty directory"
            raise ResourceError(f"{at} is a directory, not a link", hint=hint)
        if entry.type in ("file", "other") and not self.force:
            raise ResourceError(f"{at} is a {entry.type}, not a link", hint="`force: true` replaces it")
        if self.state == "link":
            host.symlink(source, at)
        else:
            host.link(source, at)


def _state(entry: Entry) -> Any:
    return entry.type


def _walk(host: Host, top: str) -> Iterator[str]:
    for name in host.list(top):
        one = f"{top.rstrip('/')}/{name}"
        yield one
        if host.stat(one).type == "directory":
            yield from _walk(host, one)
