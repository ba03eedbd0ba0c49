"""The `unarchive` kind."""

from __future__ import annotations

import contextlib
import os
import re
from typing import IO, Any, Dict, Iterator, List

from personaplex_provision.agent.host import Host
from personaplex_provision.agent.record import dataclass, field
from personaplex_provision.agent.resource import Address, Change, Resource, ResourceError, Unpredictable, observed
from personaplex_provision.agent.resources._archive import Archive, Member
from personaplex_provision.agent.resources._attributes import (
    check_mode,
    check_path,
    group_id,
    need_parent,
    path_needs,
    resolve_mode,
    user_id,
)
from personaplex_provision.agent.resources._download import fetched, parse_checksum, resolve
from personaplex_provision.agent.resources._http import Request, shown
from personaplex_provision.agent.values import Blob

EXAMPLE = """
- name: the web client of PersonaPlex
  unarchive:
    src: dist.tgz
    dest: /opt/personaplex/client
    strip_components: 1
    owner: root
    group: root
"""
_STRIP = re.compile(r"--strip(?:-components)?(?:=| )(\d+)")
_SHOWN = 20


@dataclass
class Unarchive(Resource):
    """The members of a tar or zip archive, unpacked.

    It is in state when each member is there with its content and mode (or when `creates` is there). What lies in
    `dest` besides is left alone. A `dest` that does not exist is built beside and renamed. Members belong to the user
    the task runs as unless `owner` and `group` say otherwise. Taken back exactly: every file that is replaced is kept.
    """

    kind = "unarchive"
    reversible_why = "Every file that is replaced is kept before it is, and what was made goes."
    slow = True
    identity = ("dest",)
    unmanaged = (
        "src", "content", "remote_src", "creates", "strip_components", "include", "exclude", "extra_opts", "checksum",
        "validate_certs", "owner", "group", "mode", "keep_newer", "list_files", "decrypt",
    )

    dest: str
    "Absolute path of the directory to unpack into."
    src: str | None = None
    "The archive: a file beside the playbook; with `remote_src` a path or an address as the target sees it."
    content: Blob | None = None
    "The archive itself, as the controller sends it."
    remote_src: bool = False
    "Whether `src` is on the target, or an address the target fetches."
    checksum: str | None = None
    "For an address: `sha256:DIGEST` or `sha256:ADDRESS` of a file with the digests."
    creates: str | None = None
    "A path that tells, when it is there, that nothing is left to do."
    strip_components: int = 0
    "How many leading parts of each member's path are left out."
    include: List[str] = field(default_factory=list)
    "Patterns of the members to unpack; all when left out."
    exclude: List[str] = field(default_factory=list)
    "Patterns of members to leave out."
    owner: str | None = None
    "User that owns what is unpacked, by name or number."
    group: str | None = None
    "Group that owns what is unpacked, by name or number."
    mode: str | None = None
    'Permission bits of what is unpacked, instead of those in the archive: "0644" or "u=rwX,g=rX,o=".'
    extra_opts: List[str] = field(default_factory=list)
    "Options of tar; only `--strip-components=N` and ownership options have a meaning here."
    keep_newer: bool = False
    "Whether files that are newer than the archive's are left alone."
    list_files: bool = False
    "Whether the result lists the members."
    validate_certs: bool = True
    "Whether the certificate of an address must be trusted."
    decrypt: bool = True
    "Whether a `src` that is encrypted with the vault is decrypted on its way."
    state: str = observed("present")
    "Whether `dest` is there: `present`, `absent`, or `done` where `creates` is."
    differing: List[str] | None = observed()
    "Members that are not there as they are in the archive."

    def validate(self) -> Iterator[str]:
        yield from check_path("dest", self.dest)
        yield from check_mode("mode", self.mode)
        if self.src is None and self.content is None:
            yield "unarchive needs src, the archive"
        if self.strip_components < 0:
            yield "strip_components counts leading directories and is not negative"
        for one in self.extra_opts:
            if not _STRIP.fullmatch(one) and one not in ("--no-same-owner", "--no-same-permissions", "-o", "-p"):
                yield f"extra_opts: {one} has no meaning here; strip_components, include, exclude, owner and mode do"
        if self.checksum:
            try:
                parse_checksum(self.checksum)
            except ValueError as error:
                yield str(error)

    def observe(self, host: Host) -> Unarchive:
        dest = self._dest(host)
        now = Unarchive(self.dest)
        if self.creates and host.stat(os.path.join(dest, host.expand(self.creates)), follow=True).exists:
            now.state = "done"
            return now
        entry = host.stat(dest, follow=True)
        if entry.exists and entry.type != "directory":
            raise ResourceError(f"{dest} is a {entry.type}, not a directory to unpack into")
        now.state = "present" if entry.exists else "absent"
        if entry.exists:
            with self._archive(host) as archive:
                now.differing = [
                    one.path for one in self._members(archive) if not self._same(host, archive, dest, one)
                ]
        return now

    def diff(self, now: Unarchive) -> List[Change]:
        if now.state == "done":
            return []
        what = self._what()
        if now.state == "absent":
            return [Change("content", None, what)]
        differing = now.differing or []
        if not differing:
            return []
        listed = differing[:_SHOWN] + [f"and {len(differing) - _SHOWN} more"] * (len(differing) > _SHOWN)
        return [Change("content", listed, what)]

    def action(self, now: Unarchive, changes: List[Change]) -> str:
        return "none" if not changes else "create" if now.state == "absent" else "update"

    def converge(self, now: Unarchive, host: Host) -> None:
        dest = self._dest(host)
        with self._archive(host) as archive:
            members = self._members(archive)
            if now.state == "absent":
                need_parent(host, dest)
                beside = os.path.join(os.path.dirname(dest), f".{os.path.basename(dest)}.provision-new")
                if host.stat(beside).exists:
                    host.remove(beside)
                host.touch_image(beside, whole=True)
                self._unpack(host, archive, beside, members)
                host.rename(beside, dest)
                return
            differing = set(now.differing or [])
            self._unpack(host, archive, dest, [one for one in members if one.path in differing])

    def predict(self, now: Unarchive, host: Host) -> None:
        dest = self._dest(host)
        if now.state == "absent":
            need_parent(host, dest)
        try:
            if "://" in (self.src or ""):
                raise Unpredictable("it is fetched first")
            with self._archive(host) as archive:
                members = self._members(archive)
        except (Unpredictable, ResourceError):
            host.opaque(dest)
            return
        differing = set(now.differing or [])
        chosen = [one for one in members if now.state == "absent" or one.path in differing]
        host.mkdir(dest)
        for one in chosen:
            at = os.path.join(dest, one.path)
            host.mkdir(os.path.dirname(at))
            if one.type == "directory":
                host.mkdir(at, mode=self._mode(one))
            elif one.type == "link":
                host.symlink(one.target, at)
            else:
                host.write(at, iter(()), mode=self._mode(one))
                host.need(at, one.size)

    def result(self, now: Unarchive, after: Unarchive, host: Host) -> Dict[str, Any]:
        found: Dict[str, Any] = {"dest": self._dest(host), "src": shown(self.src) if self.src else None}
        if self.list_files and after.state != "done":
            with self._archive(host) as archive:
                found["files"] = [one.path for one in self._members(archive)]
        return found

    def provides(self) -> List[Address]:
        return [("path", self.dest.rstrip("/"))]

    def needs(self) -> List[Address]:
        found = path_needs(self.dest, self.owner, self.group)
        return [*found, ("path", self.src)] if self.remote_src and self.src and "://" not in self.src else found

    def _dest(self, host: Host) -> str:
        return host.expand(self.dest).rstrip("/") or "/"

    def _what(self) -> str:
        return shown(self.src) if self.src else str(self.content)

    def _mode(self, member: Member) -> int:
        directory = member.type == "directory"
        return resolve_mode(self.mode, member.mode, directory) if self.mode else member.mode

    def _members(self, archive: Archive) -> List[Member]:
        strip = self.strip_components
        for one in self.extra_opts:
            found = _STRIP.fullmatch(one)
            strip = int(found[1]) if found else strip
        return archive.members(strip, self.include, self.exclude)

    @contextlib.contextmanager
    def _archive(self, host: Host) -> Iterator[Archive]:
        """The open archive. Raises ResourceError, while planning Unpredictable where it is not here yet."""
        if self.content is not None:
            try:
                file = host.open_blob(self.content)
            except ResourceError:
                if host.planning:
                    raise Unpredictable("the archive is looked into once it has reached the host") from None
                raise
            with file:
                yield Archive(file, "the archive")
            return
        source = self.src or ""
        if "://" in source:
            request = Request(source, follow="all", validate_certs=self.validate_certs)
            checksum = resolve(parse_checksum(self.checksum), request, host) if self.checksum else None
            with fetched(request, host, checksum, keep=True) as (file, _):
                yield Archive(file, shown(source))
            return
        source = host.expand(source)
        with _on_host(host, source) as file:
            yield Archive(file, source)

    def _same(self, host: Host, archive: Archive, dest: str, member: Member) -> bool:
        at = os.path.join(dest, member.path)
        entry = host.stat(at, follow=member.type == "directory")
        if entry.type != member.type:
            return False
        uid, gid = user_id(host, self.owner), group_id(host, self.group)
        if (uid is not None and entry.uid != uid) or (gid is not None and entry.gid != gid):
            return False
        if member.type == "link":
            return entry.target == member.target
        if self.keep_newer and member.type == "file" and entry.mtime / 1e9 > member.mtime:
            return True
        if entry.mode & 0o777 != self._mode(member) and not (member.type == "directory" and self.mode is None):
            return False
        if member.type == "directory":
            return True
        return entry.size == member.size and host.digest(at).sha256 == archive.sha256(member)

    def _unpack(self, host: Host, archive: Archive, dest: str, members: List[Member]) -> None:
        uid, gid = user_id(host, self.owner), group_id(host, self.group)
        fresh = not host.stat(dest).exists
        host.mkdir(dest)
        late: List[Member] = []
        for number, one in enumerate(members):
            at = os.path.join(dest, one.path)
            host.mkdir(os.path.dirname(at))
            there = host.stat(at, follow=one.type == "directory")
            if there.exists and there.type != one.type and "directory" in (there.type, one.type):
                raise ResourceError(f"{at} is a {there.type}, and the archive holds a {one.type} of that name")
            if one.type == "directory":
                host.mkdir(at)
                late.append(one)
            elif one.type == "link":
                host.symlink(one.target, at)
            else:
                host.write(at, archive.chunks(one), mode=self._mode(one), uid=uid, gid=gid)
                if one.mtime:
                    host.utime(at, one.mtime)
            if one.type != "file" and (uid is not None or gid is not None):
                host.chown(at, -1 if uid is None else uid, -1 if gid is None else gid)
            if number % 500 == 0:
                host.progress("unpacking", number, len(members))
        # Modes of directories come last: one may be closed to the very user who fills it.
        for one in reversed(late):
            host.chmod(os.path.join(dest, one.path), self._mode(one))
        if fresh and (uid is not None or gid is not None):
            host.chown(dest, -1 if uid is None else uid, -1 if gid is None else gid)


@contextlib.contextmanager
def _on_host(host: Host, path: str) -> Iterator[IO[bytes]]:
    entry = host.stat(path, follow=True)
    if entry.type != "file":
        if host.planning:
            raise Unpredictable(f"{path} is not there yet")
        raise ResourceError(
            f"the archive {path} is not there", hint="without remote_src it would be looked for beside the playbook",
        )
    if host.planning:
        host.digest(path)  # raises Unpredictable where an earlier task changes it
    with open(host.realpath(path), "rb") as file:
        yield file
