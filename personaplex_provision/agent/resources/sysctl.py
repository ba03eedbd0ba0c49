"""The `sysctl` kind."""

from __future__ import annotations

import os
import re
from typing import Iterator, List, Literal, Optional, Tuple

from personaplex_provision.agent.host import Host
from personaplex_provision.agent.record import dataclass
from personaplex_provision.agent.resource import Address, Change, Resource, ResourceError, observed
from personaplex_provision.agent.resources._editing import split_lines

EXAMPLE = """
- name: room for the model's pages
  sysctl:
    name: vm.max_map_count
    value: "262144"
    sysctl_file: /etc/sysctl.d/90-inference.conf
"""


@dataclass
class Sysctl(Resource):
    """A kernel parameter: its line in a file that is read at boot, and its value now.

    Taken back: the file exactly, the running value by setting it again.
    """

    kind = "sysctl"
    reversible_why = "The file comes back as it was, and the running value is set again."
    aliases = {"key": "name", "val": "value"}
    unmanaged = ("reload", "sysctl_set", "ignoreerrors")
    identity = ("name", "sysctl_file")

    name: str
    "The parameter, with dots or slashes."
    value: str | None = None
    "Its value."
    state: Literal["present", "absent"] = "present"
    "Whether the file has a line for it; `absent` leaves the running value as it is."
    sysctl_file: str = "/etc/sysctl.conf"
    "The file; it is made when missing."
    reload: bool = True
    "Whether the running value is set, too, along with the file."
    sysctl_set: bool = False
    "Whether the running value is set even with `reload: false`."
    ignoreerrors: bool = False
    "Whether a running value that cannot be set is passed over."
    running: str | None = observed()
    "The value now, None when the kernel has no such parameter."

    def validate(self) -> Iterator[str]:
        if not re.fullmatch(r"[\w.,@/*-]+", self.name):
            yield f'name "{self.name}" is no kernel parameter'
        if self.state == "present" and not (self.value or "").strip():
            yield "value is needed"
        if not self.sysctl_file.startswith("/"):
            yield f"sysctl_file {self.sysctl_file} must be an absolute path"

    def observe(self, host: Host) -> Sysctl:
        value = self._in_file(host)
        now = Sysctl(self.name, value, "absent" if value is None else "present", self.sysctl_file)
        if host.stat(self._key()).type == "file":
            try:
                now.running = _plain(host.read_text(self._key()))
            except OSError:  # some can only be written
                now.running = None
        return now

    def diff(self, now: Sysctl) -> List[Change]:
        if self.state == "absent":
            return [Change("state", "present", "absent")] if now.state == "present" else []
        found = []
        want = _plain(self.value or "")
        if now.state == "absent" or _plain(now.value or "") != want:
            found.append(Change("value", now.value, self.value))
        if (self.reload or self.sysctl_set) and not self.ignoreerrors and now.running != want:
            found.append(Change("running", now.running, want))
        return found

    def action(self, now: Sysctl, changes: List[Change]) -> str:
        if changes and now.state == "present" and self.state == "present":
            return "update"
        return super().action(now, changes)

    def preview(self, now: Sysctl, host: Host) -> Optional[Tuple[str, str]]:
        before = self._text(host)
        return before, self._edited(before)

    def converge(self, now: Sysctl, host: Host) -> None:
        before = self._text(host)
        after = self._edited(before)
        if after != before:
            parent = os.path.dirname(self.sysctl_file)
            if not host.stat(parent, follow=True).exists:
                host.mkdir(parent)
            host.write(self.sysctl_file, after.encode("utf-8", "surrogateescape"))
        want = _plain(self.value or "")
        if self.state == "absent" or not (self.reload or self.sysctl_set) or now.running == want:
            return
        if host.planning:
            if host.stat(self._key()).exists:
                host.write(self._key(), want.encode() + b"\n")
            return
        found = host.run(["sysctl", "-q", "-w", f"{self.name}={want}"], check=False)
        if found.rc != 0 and not self.ignoreerrors:
            hint = "`reload: false` only writes the file, `ignoreerrors: true` goes on all the same"
            if now.running is None:
                hint = "the kernel has no such parameter: is a module missing? " + hint
            raise ResourceError(f"{self.name} cannot be set to {want}", found.stderr.strip(), hint)

    def restore(self, before: Sysctl, host: Host) -> None:
        if before.running is None or not host.stat(self._key()).exists:
            return
        if _plain(host.read_text(self._key())) != before.running:
            host.run(["sysctl", "-q", "-w", f"{self.name}={before.running}"])

    def standing(self, host: Host) -> dict[str, object]:
        there = host.stat(self._key()).type == "file"
        return {"running": _plain(host.read_text(self._key()))} if there else {}

    def provides(self) -> List[Address]:
        return []

    def needs(self) -> List[Address]:
        return [("path", os.path.dirname(self.sysctl_file))]

    def _key(self) -> str:
        """The parameter's path; a dot inside an interface's name is written as a slash by those who have one."""
        name = self.name if "/" in self.name.split(".")[0] else self.name.replace("/", "\0").replace(".", "/")
        return "/proc/sys/" + name.replace("\0", ".")

    def _text(self, host: Host) -> str:
        return host.read_text(self.sysctl_file) if host.stat(self.sysctl_file, follow=True).type == "file" else ""

    def _in_file(self, host: Host) -> Optional[str]:
        """The last value the file gives, since that is the one that counts."""
        found = None
        for one in split_lines(self._text(host)):
            if self._ours(one):
                found = one.partition("=")[2].strip()
        return found

    def _ours(self, line: str) -> bool:
        name = line.partition("=")[0].strip().lstrip("-").strip()
        return "=" in line and name.replace("/", ".") == self.name.replace("/", ".")

    def _edited(self, text: str) -> str:
        """The text with one line for the parameter, in place of its last, or without one."""
        lines = split_lines(text)
        ours = [number for number, one in enumerate(lines) if self._ours(one)]
        if self.state == "absent":
            return "".join(one for number, one in enumerate(lines) if number not in ours)
        wanted = f"{self.name}={_plain(self.value or '')}\n"
        if not ours:
            if lines and not lines[-1].endswith("\n"):
                lines[-1] += "\n"
            return "".join([*lines, wanted])
        if _plain(lines[ours[-1]].partition("=")[2]) != _plain(self.value or ""):
            lines[ours[-1]] = wanted
        return "".join(one for number, one in enumerate(lines) if number not in ours[:-1])


def _plain(value: str) -> str:
    return " ".join(value.split())
