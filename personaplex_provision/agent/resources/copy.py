"""The `copy` kind."""

from __future__ import annotations

import os
from typing import Any, Dict, Iterator, List

from personaplex_provision.agent.host import Host
from personaplex_provision.agent.record import dataclass, replace
from personaplex_provision.agent.resource import Address, Change, ResourceError, Unpredictable, observed
from personaplex_provision.agent.resources._attributes import awaited, born_mode, check_mode
from personaplex_provision.agent.resources._placing import PlacedFile
from personaplex_provision.agent.values import Blob

EXAMPLE = """
- name: limits of the inference service
  copy:
    dest: /etc/security/limits.d/90-inference.conf
    content: |
      inference  soft  memlock  unlimited
      inference  hard  memlock  unlimited
    owner: root
    group: root
    mode: "0644"
"""


@dataclass
class Copy(PlacedFile):
    """A file with the content of a file on the controller, of a text, or (`remote_src`) of a file on the target.

    Taken back exactly: the file that was there is kept before it is replaced.
    """

    kind = "copy"
    unmanaged = (*PlacedFile.unmanaged, "remote_src", "directory_mode", "decrypt")

    remote_src: bool = False
    "Whether `src` is a file on the target instead of one beside the playbook."
    directory_mode: str | None = None
    "Permission bits of directories that are made on the way; the system's default when left out."
    decrypt: bool = True
    "Whether a `src` that is encrypted with the vault is decrypted on its way."
    wanted: Blob | None = observed()
    "With `remote_src`: what `src` holds."
    wanted_mode: str | None = observed()
    "With `remote_src` and mode `preserve`: the permission bits of `src`."

    def validate(self) -> Iterator[str]:
        yield from super().validate()
        yield from check_mode("directory_mode", self.directory_mode)
        if self.remote_src and self.content is not None:
            yield "remote_src speaks of a src, and content gives the text itself: only one of them"

    def observe(self, host: Host) -> Copy:
        if not self.remote_src:
            found: Copy = super().observe(host)
            return found
        source = self._source(host)
        entry = host.stat(source, follow=True)
        if not entry.exists and awaited(host):
            raise Unpredictable(f"{source}, which is to be copied, is not there yet")
        if entry.type != "file":
            tree = entry.type == "directory"
            why = "is a directory" if tree else "is no file" if entry.exists else "does not exist"
            hint = f"copy its files one by one, or: `command: cp -aT {source} DEST` with `creates:`" if tree else ""
            raise ResourceError(f"{source}, which is to be copied, {why}", hint=hint)
        mode = f"{entry.mode:04o}" if self.mode == "preserve" else self.mode
        named = replace(self, basename=self.basename or os.path.basename(source), mode=mode, remote_src=False)
        now: Copy = named.observe(host)
        now.wanted = host.digest(source)
        now.wanted_mode = mode if self.mode == "preserve" else None
        return now

    def diff(self, now: Copy) -> List[Change]:
        if not self.remote_src:
            return super().diff(now)
        return replace(self._resolved(now), remote_src=False).diff(now)

    def converge(self, now: Copy, host: Host) -> None:
        self._resolved(now)._converge(now, host)

    def result(self, now: Copy, after: Copy, host: Host) -> Dict[str, Any]:
        return self._resolved(now)._result(now, after, host)

    def needs(self) -> List[Address]:
        return [*super().needs(), *([("path", self.src)] if self.remote_src and self.src else [])]

    def _converge(self, now: Copy, host: Host) -> None:
        super().converge(now, host)

    def _result(self, now: Copy, after: Copy, host: Host) -> Dict[str, Any]:
        return super().result(now, after, host)

    def _resolved(self, now: Copy) -> Copy:
        """This resource with what only the target knew filled in."""
        if not self.remote_src:
            return self
        return replace(
            self, content=now.wanted, basename=now.basename,
            mode=now.wanted_mode if self.mode == "preserve" else self.mode,
        )

    def _source(self, host: Host) -> str:
        return host.expand(self.src or "")

    def _put(self, host: Host, at: str, data: Any, there: bool) -> None:
        if self.remote_src:
            source = self._source(host)
            small = host.stat(source, follow=True).size <= 4 << 20
            data = host.read(source) if small else data if host.planning else _chunks(source)
        super()._put(host, at, data, there)

    def _make_directory(self, host: Host, path: str) -> None:
        missing: List[str] = []
        while not host.stat(path, follow=True).exists:
            missing.append(path)
            path = os.path.dirname(path)
        for one in reversed(missing):
            host.mkdir(one, mode=born_mode(self.directory_mode, directory=True))


def _chunks(path: str) -> Iterator[bytes]:
    with open(path, "rb") as file:
        yield from iter(lambda: file.read(1 << 20), b"")
