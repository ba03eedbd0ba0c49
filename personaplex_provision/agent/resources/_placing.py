"""Base of `copy` and `template`: a file whose content is known to the last byte."""

from __future__ import annotations

import os
from typing import Any, ClassVar, Dict, Iterator, List, Optional, Tuple

from personaplex_provision.agent.host import Host
from personaplex_provision.agent.record import dataclass, replace
from personaplex_provision.agent.resource import Address, Change, Resource, ResourceError, observed
from personaplex_provision.agent.resources._attributes import (
    apply_attributes,
    born_mode,
    check_mode,
    check_path,
    describe,
    group_id,
    need_parent,
    observe_attributes,
    path_needs,
    user_id,
)
from personaplex_provision.agent.resources._replacing import (
    check_validation,
    keep_copy,
    readable,
    sums,
    text_at,
    validate_content,
)
from personaplex_provision.agent.values import Blob


@dataclass
class PlacedFile(Resource):
    """A file with a given content, owner, group and mode."""

    reversible_why = (
        "The file that was there is kept before it is replaced, with owner, mode and times, and comes back as it was."
    )
    describes = True
    identity = ("dest", "basename")
    unmanaged: ClassVar[Tuple[str, ...]] = ("src", "backup", "force", "follow", "validation")
    aliases = {"path": "dest", "validate": "validation"}

    dest: str
    "Absolute path of the file; with a `/` at its end, or an existing directory: the file of `src`'s name in it."
    src: str | None = None
    "File the content comes from."
    content: Blob | None = None
    "The content itself."
    owner: str | None = None
    "User that owns the file, by name or number."
    group: str | None = None
    "Group that owns the file, by name or number."
    mode: str | None = None
    'Permission bits: octal like "0644", symbolic like "u=rw,g=r,o=", or `preserve` for those of `src`.'
    backup: bool = False
    "Whether a dated copy of a file that is replaced stays beside it; rollback does not need it."
    force: bool = True
    "Whether a file that is there is changed; `false` only makes a missing one."
    follow: bool = False
    "Whether a link at `dest` is followed; otherwise the file takes its place."
    validation: str | None = None
    "Command that must accept the new content before it is put in place; `%s` stands for its path."
    basename: str = ""
    "Name the file gets inside a `dest` that is a directory; the one of `src` when left out."
    exists: bool = observed(False)
    "Whether something is there."

    def validate(self) -> Iterator[str]:
        yield from check_path("dest", self.dest)
        yield from check_mode("mode", self.mode, preserve=True)
        yield from check_validation(self.validation)
        if self.src is None and self.content is None:
            yield f"{self.kind} needs src, the file that the content comes from"

    def observe(self, host: Host) -> Any:
        at = self._at(host)
        entry = host.stat(at)
        now = type(self)(self.dest, basename=self.basename)
        now.exists = entry.exists
        if entry.type == "file":
            found = host.digest(at)
            secret = self.content.secret if self.content is not None else ""
            now.content = replace(found, secret=secret) if secret else found
        if entry.type in ("file", "directory"):
            seen = observe_attributes(host, entry, self)
            now.owner, now.group, now.mode = seen["owner"], seen["group"], seen["mode"]
        return now

    def diff(self, now: Any) -> List[Change]:
        if now.exists and not self.force:
            return []
        return [
            Change(one.field, None if one.before is None else str(one.before), str(one.after))
            for one in super().diff(now)
        ]

    def action(self, now: Any, changes: List[Change]) -> str:
        return "none" if not changes else "update" if now.exists else "create"

    def preview(self, now: Any, host: Host) -> Optional[Tuple[str, str]]:
        if self.content is None or self.content.secret or self.content == now.content:
            return None
        before = text_at(host, self._at(host))
        if before is None or self.content.size > 256 * 1024:
            return None
        try:
            after = readable(host.blob(self.content))
        except ResourceError:
            return None
        return None if after is None else (before, after)

    def converge(self, now: Any, host: Host) -> None:
        at = self._at(host)
        if self.dest.endswith("/"):
            self._make_directory(host, os.path.dirname(at))
        need_parent(host, at)
        entry = host.stat(at)
        if entry.type == "directory":
            raise ResourceError(f"{at} is a directory, not a file", hint="remove it first: `file: state=absent`")
        if self.content is not None and self.content != now.content:
            validate_content(host, self.validation, self.content)
            self._put(host, at, self.content, entry.type == "file")
        apply_attributes(host, at, self.owner, self.group, self.mode)

    def result(self, now: Any, after: Any, host: Host) -> Dict[str, Any]:
        at = self._at(host)
        return {**describe(host, at), "dest": at, "src": self.src, **sums(host, at)}

    def provides(self) -> List[Address]:
        return [("path", self._named())]

    def needs(self) -> List[Address]:
        return path_needs(self._named(), self.owner, self.group)

    def _put(self, host: Host, at: str, data: Any, there: bool) -> None:
        """Writes the content; a new file is never readable by more than `mode` says."""
        if self.backup and there:
            keep_copy(host, at)
        uid, gid = user_id(host, self.owner), group_id(host, self.group)
        mode = None if there else born_mode(self.mode)
        host.write(at, data, mode=mode, uid=uid, gid=gid)

    def _make_directory(self, host: Host, path: str) -> None:
        if not host.stat(path, follow=True).exists:
            host.mkdir(path)

    def _named(self) -> str:
        """The file's path as far as it is known without looking at the host."""
        if self.dest.endswith("/") and self.basename:
            return self.dest + self.basename
        return self.dest.rstrip("/") or "/"

    def _at(self, host: Host) -> str:
        """The file that is managed. Raises ResourceError when `dest` is a directory and no name is known."""
        dest = host.expand(self.dest)
        if dest.endswith("/") or host.stat(dest, follow=True).type == "directory":
            if not self.basename:
                raise ResourceError(
                    f"{self.dest} is a directory, and the content comes with no name for a file in it",
                    hint="write the whole path of the file in `dest`",
                )
            dest = os.path.join(dest, self.basename)
        if self.follow and host.stat(dest).type == "link":
            return host.realpath(dest)
        return dest
