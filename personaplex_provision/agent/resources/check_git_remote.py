"""The `check_git_remote` kind."""

from __future__ import annotations

import re
from typing import Any, Dict, Iterator, List

from personaplex_provision.agent.host import Host
from personaplex_provision.agent.record import dataclass
from personaplex_provision.agent.resource import Address, ResourceError
from personaplex_provision.agent.resources import _http
from personaplex_provision.agent.resources._check import Check, Matcher, ask, last_lines, require_positive
from personaplex_provision.agent.resources._http import shown

EXAMPLE = """
- name: the repository can be reached
  check_git_remote:
    repo: https://github.com/NVIDIA/personaplex
"""
_WEB = ("http://", "https://")


@dataclass
class CheckGitRemote(Check):
    """Whether a repository can be read from the host, and where a reference points. Nothing is downloaded.

    Where git is not installed yet, an http or https address is asked what git would ask it (`git ls-remote`).
    """

    kind = "check_git_remote"
    free_form = "repo"
    matched = ("commit",)

    repo: str
    "Address of the repository."
    ref: str = "HEAD"
    "Branch, tag or other reference."
    commit: Matcher | None = None
    "The commit it points to."
    timeout: float = 30.0
    "Seconds it may take."

    def validate(self) -> Iterator[str]:
        yield from super().validate()
        yield from require_positive("timeout", self.timeout)
        if self.repo.startswith("-") or self.ref.startswith("-"):
            yield "repo and ref cannot begin with -"

    def needs(self) -> list[Address]:
        return [] if self.repo.startswith(_WEB) else [("command", "git")]

    def elsewhere(self) -> bool:
        return self.repo.startswith(_WEB) and not _http.is_here(self.repo)

    def title(self) -> str:
        return f"{self._shown()} {self.ref}"

    def look(self, host: Host) -> Dict[str, Any]:
        over_http = self.repo.startswith(_WEB) and host.which("git") is None
        rows = self._advertised(host) if over_http else self._listed(host)
        # An annotated tag has two rows; `^{}` is the commit.
        commit = next((one for one, name in rows if name.endswith("^{}")), rows[0][0] if rows else None)
        if commit is None:
            raise ResourceError(f"{self._shown()} has no {self.ref}")
        return {"commit": commit}

    def _listed(self, host: Host) -> List[List[str]]:
        env = {"GIT_TERMINAL_PROMPT": "0", "GIT_ASKPASS": "/bin/false",
               "GIT_SSH_COMMAND": "ssh -oBatchMode=yes -oConnectTimeout=15"}
        found = ask(host, ["git", "ls-remote", "--", self.repo, self.ref], self.timeout, env)
        if found.rc != 0:
            raise ResourceError(f"{self._shown()} cannot be read", last_lines(found, 4), _why(found.stderr))
        return [line.split("\t") for line in found.stdout.splitlines() if "\t" in line]

    def _advertised(self, host: Host) -> List[List[str]]:
        address = f"{self.repo.rstrip('/')}/info/refs?service=git-upload-pack"
        with _http.ask(_http.Request(address, timeout=self.timeout, follow="all", tries=2), host) as response:
            if response.status != 200:
                raise ResourceError(f"{self._shown()} cannot be read: it answered {response.status}", "",
                                    "it does not exist, or wants a login" if response.status in (401, 403, 404) else "")
            rows = references(response.read())
        return [row for row in rows if f"/{row[1]}".replace("^{}", "").endswith(f"/{self.ref}")]

    def _shown(self) -> str:
        return shown(self.repo) if "://" in self.repo else self.repo


def references(data: bytes) -> List[List[str]]:
    """Commit and name of each reference that a server of git's "smart" or "dumb" protocol advertises."""
    text = data.decode("utf-8", "replace")
    if text[4:].startswith("# service="):
        lines, at = [], 0
        while at + 4 <= len(data):
            size = int(data[at:at + 4], 16)
            lines.append(data[at + 4:at + size].decode("utf-8", "replace"))
            at += max(size, 4)
        text = "\n".join(line.partition("\0")[0] for line in lines)
    return [line.split(None, 1) for line in text.splitlines() if re.match(r"[0-9a-f]{40,64}\s\S", line)]


def _why(said: str) -> str:
    if "Could not resolve host" in said:
        return "the host has no name server or no network"
    if "could not read Username" in said or "Authentication failed" in said:
        return "it does not exist, or wants a login"
    return ""
