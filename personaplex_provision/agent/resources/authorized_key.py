"""The `authorized_key` kind."""

from __future__ import annotations

import base64
import binascii
import os
import re
from typing import Any, Dict, Iterator, List, Literal, Optional, Tuple

from personaplex_provision.agent.connection import user_matters
from personaplex_provision.agent.host import Host
from personaplex_provision.agent.machine import User
from personaplex_provision.agent.record import dataclass
from personaplex_provision.agent.resource import Address, Change, Resource, ResourceError, Unpredictable, observed
from personaplex_provision.agent.resources._attributes import apply_attributes, awaited, need_parent
from personaplex_provision.agent.resources._editing import split_lines
from personaplex_provision.agent.row import NamedTuple

EXAMPLE = """
- name: who may log in
  authorized_key:
    user: admin
    key: "{{ lookup('file', 'keys/admin.pub') }}"
"""


class Key(NamedTuple):
    """A line of authorized_keys."""

    options: str
    type: str
    data: str
    comment: str

    def line(self) -> str:
        return " ".join(one for one in self if one)


@dataclass
class AuthorizedKey(Resource):
    """Public keys that may log in as a user.

    A missing ~/.ssh is made with mode 0700, a missing file with 0600, both owned by the user. Taken back exactly.
    """

    kind = "authorized_key"
    reversible_why = "The file of keys and the directory made for it come back as they were, or go."
    identity = ("user", "path")
    aliases = {"exclusive": "exclusively"}
    unmanaged = ("manage_dir", "follow", "validate_certs")

    user: str
    "User whose file it is."
    key: str
    "The public keys, one a line."
    state: Literal["present", "absent"] = "present"
    "Whether the keys should be there."
    exclusively: bool = False
    "Whether every other key goes."
    path: str | None = None
    "The file; ~/.ssh/authorized_keys of the user when left out."
    manage_dir: bool = True
    "Whether the directory of the file is made, with its owner and mode."
    key_options: str | None = None
    'Options that stand before the keys, like `no-pty,from="10.0.0.0/8"`.'
    comment: str | None = None
    "Comment instead of the one the keys carry."
    follow: bool = False
    "Whether a link at the path is followed; otherwise a file takes its place."
    validate_certs: bool = True
    "Accepted for playbooks that say it: keys are never fetched from the network by the target."
    lines: List[str] | None = observed()
    "The keys that are there and concern this task."
    wanted: List[str] | None = observed()
    "Those that are asked for."
    directory: str = observed("")
    "What is wrong with the file or its directory: missing, its mode, its owner."

    def validate(self) -> Iterator[str]:
        for line in self.key.splitlines():
            if line.strip() and not line.strip().startswith("#") and parse_key(line) is None:
                yield f'key holds a line that is no public key: "{line.strip()[:40]}"'
        if not any(parse_key(line) for line in self.key.splitlines()):
            yield "key holds no public key"
        if self.exclusively and self.state == "absent":
            yield "exclusive says that these are the only keys, and state absent that they go"

    def observe(self, host: Host) -> AuthorizedKey:
        at = self._at(host)
        text = host.read_text(at) if host.stat(at, follow=True).type == "file" else ""
        now = AuthorizedKey(self.user, "", path=self.path)
        now.lines, now.wanted = _keys(text), _keys(self.edit(text))
        if self.state == "present" and self.manage_dir:
            now.directory = self._wrong(host, at)
        return now

    def diff(self, now: AuthorizedKey) -> List[Change]:
        found = []
        if now.lines != now.wanted:
            found.append(Change("key", "\n".join(now.lines or []), "\n".join(now.wanted or [])))
        if now.directory:
            found.append(Change("directory", now.directory, "0700, owned by the user"))
        return found

    def action(self, now: AuthorizedKey, changes: List[Change]) -> str:
        if not changes:
            return "none"
        return "delete" if self.state == "absent" else "update" if now.lines else "create"

    def preview(self, now: AuthorizedKey, host: Host) -> Optional[Tuple[str, str]]:
        at = self._at(host)
        text = host.read_text(at) if host.stat(at, follow=True).type == "file" else ""
        return text, self.edit(text)

    def converge(self, now: AuthorizedKey, host: Host) -> None:
        at, who = self._at(host), self._who(host)
        folder = os.path.dirname(at)
        entry = host.stat(at, follow=True)
        if self.state == "present" and self.manage_dir:
            need_parent(host, folder)
            if not host.stat(folder, follow=True).exists:
                host.mkdir(folder, mode=0o700)
            apply_attributes(host, host.realpath(folder), str(who.uid), str(who.gid), "0700")
        need_parent(host, at)
        text = host.read_text(at) if entry.type == "file" else ""
        after = self.edit(text)
        if after != text:
            mode = 0o600 if not entry.exists else None
            host.write(at, after.encode("utf-8", "surrogateescape"), mode=mode, uid=who.uid, gid=who.gid)

    def provides(self) -> List[Address]:
        return [("path", self.path)] if self.path and self.state == "present" else []

    def needs(self) -> List[Address]:
        return [("user", self.user), *([("path", os.path.dirname(self.path))] if self.path else [])]

    def touches_connection(self, user: str) -> bool:
        return user_matters(self.user, user) and (self.exclusively or self.state == "absent")

    def result(self, now: AuthorizedKey, after: AuthorizedKey, host: Host) -> Dict[str, Any]:
        return {"user": self.user, "keyfile": self._at(host), "key": self.key, "state": self.state}

    def edit(self, text: str) -> str:
        """The file's text with the keys as asked. Pure."""
        asked = self._asked()
        lines = split_lines(text)
        if lines and not lines[-1].endswith("\n"):
            lines[-1] += "\n"
        found = []
        for line in lines:
            key = parse_key(line)
            name = (key.type, key.data) if key else None
            if name is None:
                found.append(line)
            elif self.state == "absent":
                found += [] if name in asked else [line]
            elif key and name in asked:
                found.append(self._merged(asked.pop(name), key).line() + "\n")
            elif not self.exclusively:
                found.append(line)
        if self.state == "present":
            found += [one.line() + "\n" for one in asked.values()]
        return "".join(found)

    def _merged(self, asked: Key, there: Key) -> Key:
        """The asked key, with the options that are there unless the task has its own."""
        options = asked.options or ("" if self.key_options is not None else there.options)
        return there._replace(options=options, comment=asked.comment or there.comment)

    def _asked(self) -> Dict[Tuple[str, str], Key]:
        found = {}
        for line in self.key.splitlines():
            key = parse_key(line)
            if key is not None:
                options = self.key_options if self.key_options is not None else key.options
                comment = self.comment if self.comment is not None else key.comment
                found[key.type, key.data] = key._replace(options=options, comment=comment)
        return found

    def _who(self, host: Host) -> User:
        found = host.user(self.user)
        if found is None:
            if awaited(host):
                raise Unpredictable(f"there is no user {self.user} yet")
            raise ResourceError(f"there is no user {self.user} on this host", hint="add a `user:` task before this one")
        return found

    def _at(self, host: Host) -> str:
        path = self.path or os.path.join(self._who(host).home, ".ssh", "authorized_keys")
        path = host.expand(path.replace("%h", self._who(host).home).replace("%u", self.user))
        return host.realpath(path) if self.follow else path

    def _wrong(self, host: Host, at: str) -> str:
        who, folder = self._who(host), host.stat(os.path.dirname(at), follow=True)
        if not folder.exists:
            return "missing"
        if folder.mode != 0o700 or folder.uid != who.uid or folder.gid != who.gid:
            return f"{folder.mode:04o}, owned by {host.owner_name(folder.uid)}"
        return ""


def parse_key(line: str) -> Optional[Key]:
    """The key in a line of authorized_keys, None for an empty line, a comment, or what is no key."""
    line = line.strip()
    if not line or line.startswith("#"):
        return None
    match = re.search(r"(?:^|\s)((?:ssh|ecdsa|sk)-[A-Za-z0-9@.-]+)\s+(AAAA[A-Za-z0-9+/]+={0,3})(?:\s+(.*))?$", line)
    if match is None:
        return None
    try:
        data = base64.b64decode(match[2], validate=True)
    except (binascii.Error, ValueError):
        return None
    size = int.from_bytes(data[:4], "big")
    if data[4 : 4 + size].decode("ascii", "replace") != match[1]:
        return None
    return Key(line[: match.start(1)].strip(), match[1], match[2], (match[3] or "").strip())


def _keys(text: str) -> List[str]:
    return [one.strip() for one in split_lines(text) if parse_key(one)]
