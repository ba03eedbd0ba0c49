"""The `apt_repository` kind."""

from __future__ import annotations

import re
from typing import Any, Dict, Iterator, List, Literal, Tuple

from personaplex_provision.agent.host import Host
from personaplex_provision.agent.record import dataclass
from personaplex_provision.agent.resource import Address, Change, Resource, observed
from personaplex_provision.agent.resources._apt_command import update_lists
from personaplex_provision.agent.resources._apt_source import FOLDER, sources

EXAMPLE = """
- name: the repository with the newer kernel tools
  apt_repository:
    repo: "deb [signed-by=/etc/apt/keyrings/tools.gpg] {{ tools_repository }} stable main"
    filename: tools
"""

_LINE = re.compile(r"^(deb|deb-src)\s+(\[[^\]]*\]\s+)?(\S+)\s+(\S+)(\s.*)?$")


@dataclass
class AptRepository(Resource):
    """A package source as a line in a `.list` file; `deb822_repository` is the newer way and can verify the key.

    Rollback is exact: the file is put back as it was or removed.
    """

    kind = "apt_repository"
    reversible_why = (
        "The source file comes back as it was, or goes; lists that were fetched from it stay in apt's cache."
    )
    aliases = {"update-cache": "update_cache"}
    identity = ("repo",)
    exclusive = ("apt-sources",)
    unmanaged = ("filename", "update_cache", "validate_certs")

    repo: str
    "The line, as in sources.list."
    filename: str | None = None
    "Name of the file under /etc/apt/sources.list.d, without `.list`; made from the address when left out."
    mode: str | None = None
    "Mode of the file, as octal text."
    state: Literal["present", "absent"] = "present"
    "Whether the line should be there, in any of the files."
    update_cache: bool = True
    "Whether the lists of the source are fetched when it was added."
    validate_certs: bool = True
    "Accepted for playbooks that use it: certificates are always checked."
    found: list[str] = observed(None)
    "The files that hold the line."
    text: str = observed("")
    "What the file holds that the line goes into."

    def validate(self) -> Iterator[str]:
        if self.repo.startswith("ppa:"):
            yield (
                f"{self.repo}: the key and the address of a PPA are only known to Launchpad: "
                "use deb822_repository with uris and the key's fingerprint, both are on the PPA's page"
            )
        elif not _LINE.match(self.repo.strip()):
            yield f'"{self.repo}" is not a source: write "deb [options] ADDRESS SUITE COMPONENTS"'
        if self.filename is not None and "/" in self.filename:
            yield "filename is a name, not a path"

    @property
    def path(self) -> str:
        """The file that a new line goes into."""
        name = self.filename or _suggested(self.repo)
        return f"{FOLDER}/{name if name.endswith('.list') else name + '.list'}"

    def observe(self, host: Host) -> AptRepository:
        holding = [path for path in sources(host) if _holds(_read(host, path), self.repo)]
        entry = host.stat(self.path, follow=True)
        return AptRepository(
            self.repo, state="present" if holding else "absent", found=holding, text=_read(host, self.path),
            mode=f"{entry.mode:04o}" if entry.exists else None,
        )

    def diff(self, now: AptRepository) -> List[Change]:
        found = [Change("state", now.state, self.state)] if now.state != self.state else []
        if self.mode is not None and self.state == "present" and self.path in (now.found or []):
            have = now.mode or "0"
            found += [Change("mode", have, self.mode)] if int(have, 8) != int(self.mode, 8) else []
        return found

    def preview(self, now: AptRepository, host: Host) -> Tuple[str, str]:
        return now.text, self._added(now.text) if self.state == "present" else _without(now.text, self.repo)

    def converge(self, now: AptRepository, host: Host) -> None:
        if self.state == "absent":
            for path in now.found or []:
                left = _without(_read(host, path), self.repo)
                if left.strip() or path == "/etc/apt/sources.list":
                    host.write(path, left.encode())
                else:
                    host.remove(path)
            return
        mode = int(self.mode, 8) if self.mode else None
        if now.state == "absent":
            fresh = not host.stat(self.path).exists
            host.mkdir(FOLDER)
            host.write(self.path, self._added(now.text).encode(), mode=mode or (0o644 if fresh else None))
            if self.update_cache and not host.planning:
                update_lists(host, 60, self.path)
        elif mode is not None:
            host.chmod(self.path, mode)

    def provides(self) -> List[Address]:
        return [("repository", self.repo), ("path", self.path)] if self.state == "present" else []

    def needs(self) -> List[Address]:
        key = re.search(r"signed-by=([^\s,\]]+)", self.repo)
        return [("path", key.group(1))] if key else []

    def result(self, now: Any, after: Any, host: Host) -> Dict[str, Any]:
        return {"repo": self.repo, "state": self.state, "sources_added": [] if now.found else [self.path]}

    def _added(self, text: str) -> str:
        lines = [line for line in text.splitlines() if _plain(line.lstrip("# ")) != _plain(self.repo)]
        return "".join(f"{line}\n" for line in [*lines, self.repo.strip()])


def _read(host: Host, path: str) -> str:
    try:
        return host.read_text(path)
    except OSError:
        return ""


def _plain(line: str) -> str:
    """A line without its comment and with single spaces."""
    return " ".join(line.split("#", 1)[0].split())


def _holds(text: str, repo: str) -> bool:
    return any(_plain(line) == _plain(repo) for line in text.splitlines())


def _without(text: str, repo: str) -> str:
    return "".join(line for line in text.splitlines(keepends=True) if _plain(line) != _plain(repo))


def _suggested(repo: str) -> str:
    """`deb.example.org_debian` for `deb http://user@deb.example.org/debian …`, as Ansible names it."""
    line = re.sub(r"\w+://", "", re.sub(r"\[[^\]]+\]", "", repo))
    parts = [part for part in line.split() if part not in ("deb", "deb-src")]
    address = parts[0].split("@")[-1] if parts else "source"
    return "_".join(re.sub(r"[^a-zA-Z0-9]", " ", address).split())
