"""The `git` kind."""

from __future__ import annotations

import os
from typing import Any, Dict, Iterator, List

from personaplex_provision.agent.host import Host
from personaplex_provision.agent.record import dataclass
from personaplex_provision.agent.resource import Address, Change, Resource, ResourceError, observed
from personaplex_provision.agent.resources._attributes import check_path, need_parent
from personaplex_provision.agent.resources._git import (
    COMMIT,
    Meaning,
    Program,
    commit_of,
    directory_of,
    explained,
    loosen,
    remote_of,
)
from personaplex_provision.agent.resources._http import shown

EXAMPLE = """
- name: PersonaPlex's source
  git:
    repo: https://github.com/NVIDIA/personaplex.git
    dest: /opt/personaplex/source
    version: 3428dfd95309a7f3c84fd93259ded0f810d1ff91
"""


@dataclass
class Git(Resource):
    """A checkout of a git repository at a branch, a tag or a commit.

    A full commit id that is checked out is in state without asking the network; for a branch or tag the remote is
    asked what it means now. Files changed by hand are refused with their list unless `force`. A clone is made beside
    `dest` and renamed. Taken back exactly: a new checkout goes, an old one gets its tree back.
    """

    kind = "git"
    reversible_why = (
        "A checkout that was made goes; of one that was there the whole tree is kept before it is changed."
    )
    slow = True
    identity = ("dest",)
    unmanaged = (
        "depth", "force", "update", "clone", "bare", "recursive", "key_file", "ssh_opts", "refspec", "verify_commit",
        "remote", "single_branch", "executable",
    )
    aliases = {"name": "repo"}

    repo: str
    "Address of the repository, as git takes it."
    dest: str
    "Absolute path of the tree."
    version: str = "HEAD"
    "Branch, tag, or full commit id; `HEAD` is the remote's default branch."
    verify_commit: str | None = None
    "The full commit id that `version` must mean; anything else fails before it is checked out."
    force: bool = False
    "Whether files that were changed by hand are put back as they were committed."
    update: bool = True
    "Whether a tree that is there is brought to `version`."
    clone: bool = True
    "Whether a missing tree is made."
    depth: int | None = None
    "How many commits of history are fetched; all when left out."
    bare: bool = False
    "Whether `dest` is a repository without a tree."
    recursive: bool = True
    "Whether submodules are checked out too."
    remote: str = "origin"
    "Name of the remote."
    refspec: str | None = None
    "Further references to fetch, as git writes them."
    single_branch: bool = False
    "Whether only the history of `version` is cloned."
    key_file: str | None = None
    "Private key for ssh; the host's key must be known already."
    ssh_opts: str | None = None
    "Further options for ssh."
    executable: str | None = None
    "Path of git, when it is not the one on the PATH."
    state: str = observed("present")
    "`present`, `absent`, or `planned` by an earlier task."
    commit: str = observed("")
    "The commit the tree is at."
    wanted: str = observed("")
    "The commit that `version` means now."
    modified: List[str] | None = observed()
    "Files changed by hand."

    def validate(self) -> Iterator[str]:
        yield from check_path("dest", self.dest)
        if self.verify_commit is not None and not COMMIT.fullmatch(self.verify_commit):
            yield "verify_commit is the full id of a commit: 40 hexadecimal digits in lower case"
        elif self.verify_commit and COMMIT.fullmatch(self.version) and self.version != self.verify_commit:
            yield "version and verify_commit are two different commits"
        if self.depth is not None and self.depth < 1:
            yield "depth counts commits and starts at 1"
        if self.repo.startswith("-") or self.version.startswith("-"):
            yield "repo and version must not begin with a dash"

    def observe(self, host: Host) -> Git:
        dest = self._dest(host)
        now = Git(self.repo, self.dest, self.version, state="absent", bare=self.bare)
        planned = host.declared("git", dest)
        if planned:
            now.state, now.commit = "planned", planned["commit"]
            now.repo, now.version = planned["repo"], planned["version"]
            now.wanted = self.version if COMMIT.fullmatch(self.version) else ""
            return now
        entry = host.stat(dest, follow=True)
        directory = directory_of(host, dest, self.bare) if entry.type == "directory" else ""
        if not directory:
            if entry.exists and (entry.type != "directory" or host.list(dest)):
                raise ResourceError(
                    f"{dest} is there and is no git {'repository' if self.bare else 'checkout'}", "",
                    f"remove it first (`file: {{path: {dest}, state: absent}}`) or choose another dest",
                )
            return now
        now.state, now.commit = "present", commit_of(host, directory)
        if not self.update:
            return now
        git = self._git(host)
        now.repo = remote_of(host, directory, self.remote)
        if not (COMMIT.fullmatch(self.version) and now.commit == self.version):
            meaning = self._meaning(git)
            now.wanted = meaning.commit
            if self.bare:
                now.commit = self._bare_commit(git, directory, meaning)
        else:
            now.wanted = self.version
        if not self.bare:
            now.modified = git.modified(dest)
            if now.modified and not self.force:
                raise ResourceError(
                    f"{dest} has files that were changed by hand", "\n".join(now.modified[:50]),
                    "commit or undo them, or give `force: true` to have them put back",
                )
        return now

    def diff(self, now: Git) -> List[Change]:
        if now.state == "absent":
            return [Change("version", None, self.version)] if self.clone else []
        if not self.update:
            return []
        found = []
        if now.state == "planned" and not (now.commit and now.wanted):
            if (now.repo, now.version) != (self.repo, self.version):
                found.append(Change("version", now.version, self.version))
        elif now.commit != now.wanted:
            named = self.version == now.wanted
            found.append(Change("version", now.commit, now.wanted if named else f"{self.version} ({now.wanted})"))
        if now.modified:
            found.append(Change("files", now.modified, "as committed"))
        if now.repo != self.repo:
            found.append(Change("repo", shown(now.repo), shown(self.repo)))
        return found

    def converge(self, now: Git, host: Host) -> None:
        dest, git = self._dest(host), self._git(host)
        if now.state == "absent":
            self._make(host, git, dest)
            return
        directory = directory_of(host, dest, self.bare)
        host.touch_image(dest, whole=True, link=True)
        loosen(host, directory)
        if now.repo != self.repo:
            git.run(["remote", "set-url" if now.repo else "add", self.remote, self.repo], dest)
        if now.commit != now.wanted:
            meaning = self._meaning(git)
            self._fetch(git, dest, meaning)
            if not self.bare:
                self._check_out(git, dest, meaning)
        elif now.modified:
            git.run(["reset", "--hard", now.commit], dest)

    def predict(self, now: Git, host: Host) -> None:
        dest = self._dest(host)
        if now.state == "absent":
            need_parent(host, dest)
        elif [one.field for one in self.diff(now)] == ["repo"]:
            return
        host.touch_image(dest, whole=True, link=True)
        host.declare("git", dest, {
            "repo": self.repo, "version": self.version, "commit": self._known_commit(now),
            "fresh": now.state == "absent",
        })
        host.opaque(dest)

    def result(self, now: Git, after: Git, host: Host) -> Dict[str, Any]:
        return {
            "before": now.commit or None, "after": after.commit or None,
            "remote_url_changed": now.state == "present" and now.repo != after.repo,
        }

    def action(self, now: Git, changes: List[Change]) -> str:
        return "none" if not changes else "create" if now.state == "absent" else "update"

    def provides(self) -> List[Address]:
        return [("path", self.dest.rstrip("/"))]

    def needs(self) -> List[Address]:
        found: List[Address] = [("path", os.path.dirname(self.dest.rstrip("/"))), ("command", "git")]
        if self.key_file:
            found.append(("path", self.key_file))
        return found

    def _known_commit(self, now: Git) -> str:
        return now.wanted or self.verify_commit or (self.version if COMMIT.fullmatch(self.version) else "")

    def _dest(self, host: Host) -> str:
        return host.expand(self.dest).rstrip("/") or "/"

    def _git(self, host: Host) -> Program:
        return Program(host, self.executable or "", self.key_file or "", self.ssh_opts or "")

    def _meaning(self, git: Program) -> Meaning:
        found = git.meaning(self.repo, self.version)
        if self.verify_commit and found.commit != self.verify_commit:
            raise ResourceError(
                f"{self.version} of {shown(self.repo)} is not the commit that was expected",
                f"expected {self.verify_commit}\nfound    {found.commit}",
                "the tag or branch was moved: look at what changed before you change verify_commit",
            )
        return found

    def _bare_commit(self, git: Program, directory: str, meaning: Meaning) -> str:
        if not meaning.reference:
            return meaning.commit if git.has(directory, meaning.commit) else ""
        name = f"refs/heads/{meaning.branch}" if meaning.branch else meaning.reference
        found = commit_of(git.host, directory, name)
        if found != meaning.commit and meaning.reference.startswith("refs/tags/") and found:
            # An annotated tag is an object of its own; what counts is the commit it stands for.
            found = git.ask(["rev-parse", f"{found}^{{commit}}"], directory).stdout.strip()
        return found

    def _make(self, host: Host, git: Program, dest: str) -> None:
        need_parent(host, dest)
        meaning = self._meaning(git)
        beside = os.path.join(os.path.dirname(dest), f".{os.path.basename(dest)}.provision-new")
        if host.stat(beside).exists:
            host.remove(beside)
        words = ["clone", "--origin", self.remote, *(["--bare"] if self.bare else [])]
        name = meaning.branch or (meaning.reference.replace("refs/tags/", "", 1) if meaning.reference != "HEAD" else "")
        if name and not name.startswith("refs/"):
            words += ["--branch", name]
            if self.depth:
                words += ["--depth", str(self.depth)]
            if self.single_branch or self.depth:
                words.append("--single-branch")
        elif not self.bare:
            words.append("--no-checkout")
        if name or not self.depth or self.bare or not self._shallow(git, beside, meaning):
            git.run([*words, "--progress", "--", self.repo, beside], trees=[beside])
        if self.refspec:
            git.run(["fetch", self.remote, self.refspec], beside)
        if not self.bare:
            self._check_out(git, beside, meaning)
        host.rename(beside, dest)

    def _shallow(self, git: Program, beside: str, meaning: Meaning) -> bool:
        """Fetches a single commit with little history; not every server lets one ask for a commit."""
        git.run(["init", "--quiet", beside], trees=[beside])
        git.run(["remote", "add", self.remote, self.repo], beside)
        words = ["fetch", "--depth", str(self.depth), self.remote, meaning.commit]
        if git.run(words, beside, check=False).rc == 0:
            return True
        git.host.remove(beside)
        return False

    def _fetch(self, git: Program, dest: str, meaning: Meaning) -> None:
        depth = ["--depth", str(self.depth)] if self.depth else []
        if self.bare:
            git.run(["fetch", "--tags", "--force", *depth, self.remote, "+refs/heads/*:refs/heads/*"], dest)
        elif depth and meaning.reference:
            name = f"refs/heads/{meaning.branch}" if meaning.branch else meaning.reference
            where = f"refs/remotes/{self.remote}/{meaning.branch}" if meaning.branch else name
            git.run(["fetch", "--force", *depth, self.remote, f"+{name}:{where}"], dest)
        elif not git.has(dest, meaning.commit) or meaning.reference:
            git.run(["fetch", "--tags", "--force", self.remote], dest)
        if self.refspec:
            git.run(["fetch", self.remote, self.refspec], dest)
        if not git.has(dest, meaning.commit):
            found = git.run(["fetch", *depth, self.remote, meaning.commit], dest, check=False)
            if found.rc != 0:
                raise explained(found, "fetch")

    def _check_out(self, git: Program, dest: str, meaning: Meaning) -> None:
        if not git.has(dest, meaning.commit):
            git.run(["fetch", self.remote, meaning.commit], dest)
        force = ["--force"] if self.force else []
        if meaning.branch:
            git.run(["checkout", "--quiet", *force, "-B", meaning.branch, meaning.commit], dest)
            upstream = f"{self.remote}/{meaning.branch}"
            git.run(["branch", "--quiet", f"--set-upstream-to={upstream}", meaning.branch], dest, check=False)
        else:
            git.run(["checkout", "--quiet", *force, "--detach", meaning.commit], dest)
        if self.recursive and git.host.stat(f"{dest}/.gitmodules").exists:
            depth = ["--depth", str(self.depth)] if self.depth else []
            git.run(["submodule", "sync", "--quiet", "--recursive"], dest)
            git.run(["submodule", "update", "--init", "--recursive", *force, *depth], dest)
