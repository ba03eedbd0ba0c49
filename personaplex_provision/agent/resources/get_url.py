"""The `get_url` kind."""

from __future__ import annotations

import os
import shlex
import shutil
import tempfile
from typing import IO, Any, Dict, Iterator, List

from personaplex_provision.agent.host import Host
from personaplex_provision.agent.record import dataclass, field
from personaplex_provision.agent.resource import Address, Change, Resource, ResourceError, Unpredictable, observed
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
from personaplex_provision.agent.resources._download import (
    Checksum,
    digest_of,
    fetched,
    file_name,
    need_room,
    parse_checksum,
    remote_sha256,
    resolve,
)
from personaplex_provision.agent.resources._http import Request, shown
from personaplex_provision.agent.resources._replacing import check_validation, keep_copy
from personaplex_provision.agent.values import Secret

EXAMPLE = """
- name: the model's licence
  get_url:
    url: https://mirror.example/personaplex/LICENSE
    dest: /srv/models/LICENSE
    checksum: "sha256:https://mirror.example/personaplex/SHA256SUMS"
    mode: "0644"
"""


@dataclass
class GetUrl(Resource):
    """A file that is fetched from an http, https or file address.

    With a checksum the file is in state when it has that digest, and is fetched otherwise. Without one a file that is
    there is left alone, unless `force` asks for what the address holds now. An interrupted download is taken up where
    it stopped, and nothing replaces `dest` before it is whole and verified. Taken back exactly: the file that was
    there is kept.
    """

    kind = "get_url"
    reversible_why = "The file that was at `dest` is kept before it is replaced, and comes back as it was."
    slow = True
    identity = ("dest",)
    unmanaged = (
        "url", "force", "timeout", "headers", "url_username", "url_password", "force_basic_auth", "validate_certs",
        "ca_path", "use_proxy", "backup", "validation", "retries",
    )
    aliases = {"path": "dest", "validate": "validation", "username": "url_username", "password": "url_password"}

    url: str
    "Address of the content."
    dest: str
    "Absolute path of the file; with a `/` at its end, or an existing directory: the file of the address's name in it."
    checksum: str | None = None
    "`sha256:DIGEST`, or `sha256:ADDRESS` of a file with the digests (other algorithms too)."
    force: bool = False
    "Without a checksum: whether a file that is there is compared with what the address holds now."
    owner: str | None = None
    "User that owns the file, by name or number."
    group: str | None = None
    "Group that owns the file, by name or number."
    mode: str | None = None
    'Permission bits: octal like "0644" or symbolic like "u=rw,g=r,o=".'
    timeout: float = 30.0
    "Seconds without an answer after which the server is given up."
    retries: int = 3
    "How often a connection that breaks, or an answer like 503, is tried again."
    headers: Dict[str, str] = field(default_factory=dict)
    "Headers of the request; a token may be a secret."
    url_username: str | None = None
    "User for basic authentication."
    url_password: Secret | None = None
    "Password for basic authentication."
    force_basic_auth: bool = False
    "Whether credentials are sent at once, for servers that do not ask for them."
    validate_certs: bool = True
    "Whether the server's certificate must be trusted."
    ca_path: str | None = None
    "File with the certificates of the authorities to trust."
    use_proxy: bool = True
    "Whether the proxy of the environment is used."
    backup: bool = False
    "Whether a dated copy of a file that is replaced stays beside it; rollback does not need it."
    validation: str | None = None
    "Command that must accept the content before it is put in place; `%s` stands for its path."
    type: str = observed("absent")
    "What is there."

    def validate(self) -> Iterator[str]:
        yield from check_path("dest", self.dest)
        yield from check_mode("mode", self.mode)
        yield from check_validation(self.validation)
        if self.checksum:
            try:
                parse_checksum(self.checksum)
            except ValueError as error:
                yield str(error)
        if not self.url.startswith(("http://", "https://", "file://")):
            yield f"url must be an http, https or file address, and is {shown(self.url)}"
        elif self.dest.endswith("/") and not file_name(self.url):
            yield "dest is a directory, and the url names no file: write the whole path in dest"

    def observe(self, host: Host) -> GetUrl:
        at = self._at(host)
        entry = host.stat(at, follow=True)
        now = GetUrl(self.url, self.dest, type=entry.type)
        if entry.type != "file":
            return now
        seen = observe_attributes(host, entry, self)
        now.owner, now.group, now.mode = seen["owner"], seen["group"], seen["mode"]
        if self.checksum:
            wanted = resolve(parse_checksum(self.checksum), self._request(), host)
            found = digest_of(host, at, wanted.algorithm)
            now.checksum = self.checksum if found == wanted.hex else f"{wanted.algorithm}:{found}"
        elif self.force:
            now.force = remote_sha256(self._request(), host) == host.digest(at).sha256
        return now

    def diff(self, now: GetUrl) -> List[Change]:
        if now.type != "file":
            return [Change("content", None, shown(self.url))]
        found = super().diff(now)
        if self.force and not self.checksum and not now.force:
            found.insert(0, Change("content", "another", shown(self.url)))
        return found

    def action(self, now: GetUrl, changes: List[Change]) -> str:
        return "none" if not changes else "update" if now.type == "file" else "create"

    def converge(self, now: GetUrl, host: Host) -> None:
        at = self._at(host)
        need_parent(host, at)
        if now.type in ("directory", "other"):
            raise ResourceError(f"{at} is a {now.type} and cannot be replaced by a download")
        if self._stale(now):
            self._fetch(host, at)
        apply_attributes(host, at, self.owner, self.group, self.mode)

    def predict(self, now: GetUrl, host: Host) -> None:
        at = self._at(host)
        need_parent(host, at)
        if self._stale(now):
            host.write(at, iter(()), mode=born_mode(self.mode) if now.type != "file" else None)
            need_room(self._request(), host, at)
        try:
            apply_attributes(host, at, self.owner, self.group, self.mode)
        except Unpredictable:
            return

    def result(self, now: GetUrl, after: GetUrl, host: Host) -> Dict[str, Any]:
        at = self._at(host)
        return {**describe(host, at), "dest": at, "url": shown(self.url), "checksum_dest": after.checksum}

    def provides(self) -> List[Address]:
        return [("path", self.dest + file_name(self.url) if self.dest.endswith("/") else self.dest)]

    def needs(self) -> List[Address]:
        found = path_needs(self.provides()[0][1], self.owner, self.group)
        return [*found, ("path", self.url[7:])] if self.url.startswith("file://") else found

    def _stale(self, now: GetUrl) -> bool:
        """Whether the content itself has to be fetched."""
        if now.type != "file":
            return True
        return now.checksum != self.checksum if self.checksum else self.force and not now.force

    def _fetch(self, host: Host, at: str) -> None:
        request = self._request()
        checksum: Checksum | None = None
        if self.checksum:
            checksum = resolve(parse_checksum(self.checksum), request, host)
        with fetched(request, host, checksum) as (file, path):
            _check_content(host, self.validation, file, path)
            fresh = host.stat(at).type != "file"
            if self.backup and not fresh:
                keep_copy(host, at)
            mode = born_mode(self.mode) if fresh else None
            host.adopt(path, at, mode=mode, uid=user_id(host, self.owner), gid=group_id(host, self.group))

    def _request(self) -> Request:
        return Request(
            self.url, headers=self.headers, timeout=self.timeout, user=self.url_username or "",
            password=self.url_password.reveal() if self.url_password else "", force_basic_auth=self.force_basic_auth,
            validate_certs=self.validate_certs, ca_path=self.ca_path or "", follow="all", use_proxy=self.use_proxy,
            tries=self.retries + 1,
        )

    def _at(self, host: Host) -> str:
        dest = host.expand(self.dest)
        if dest.endswith("/") or host.stat(dest, follow=True).type == "directory":
            name = file_name(self.url)
            if not name:
                raise ResourceError(f"{self.dest} is a directory, and the address names no file")
            dest = os.path.join(dest, name)
        return host.realpath(dest) if host.stat(dest).type == "link" else dest


def _check_content(host: Host, command: str | None, file: IO[bytes], path: str) -> None:
    """Has a command look at the content, in a copy where the task's user cannot read the state directory."""
    if command is None:
        return
    with tempfile.TemporaryDirectory(prefix="provision-") as folder:
        if host.identity.foreign:
            path = os.path.join(folder, "content")
            with open(path, "wb") as copy:
                shutil.copyfileobj(file, copy, 1 << 20)
        argv = [one.replace("%s", path) for one in shlex.split(command)]
        found = host.query(argv, timeout=600)
    if found.rc != 0:
        raise ResourceError(
            f"{argv[0]} refused the content, so {command.split()[0]} kept it from its place",
            (found.stderr.strip() or found.stdout.strip()).replace(path, "the content"),
        )
