"""The `check_git_remote` kind."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Dict, Iterator

from personaplex_provision.agent.host import Host
from personaplex_provision.agent.resource import Address, ResourceError
from personaplex_provision.agent.resources._check import Check, Matcher, ask, last_lines, require_positive
from personaplex_provision.agent.resources._http import shown

EXAMPLE = """
- name: the repository can be reached
  check_git_remote:
    repo: https://github.com/NVIDIA/personaplex
"""


@dataclass
class CheckGitRemote(Check):
    """Whether a repository can be read from the host, and where a reference points. Nothing is downloaded."""

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
        return [("command", "git")]

    def title(self) -> str:
        return f"{self._shown()} {self.ref}"

    def look(self, host: Host) -> Dict[str, Any]:
        env = {"GIT_TERMINAL_PROMPT": "0", "GIT_ASKPASS": "/bin/false",
               "GIT_SSH_COMMAND": "ssh -oBatchMode=yes -oConnectTimeout=15"}
        found = ask(host, ["git", "ls-remote", "--", self.repo, self.ref], self.timeout, env)
        if found.rc != 0:
            raise ResourceError(f"{self._shown()} cannot be read", last_lines(found, 4), _why(found.stderr))
        rows = [line.split("\t") for line in found.stdout.splitlines() if "\t" in line]
        # An annotated tag has two rows; `^{}` is the commit.
        commit = next((one for one, name in rows if name.endswith("^{}")), rows[0][0] if rows else None)
        if commit is None:
            raise ResourceError(f"{self._shown()} has no {self.ref}")
        return {"commit": commit}

    def _shown(self) -> str:
        return shown(self.repo) if "://" in self.repo else self.repo


def _why(said: str) -> str:
    if "Could not resolve host" in said:
        return "the host has no name server or no network"
    if "could not read Username" in said or "Authentication failed" in said:
        return "it does not exist, or wants a login"
    return ""
