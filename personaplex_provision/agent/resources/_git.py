"""Git as the `git` kind uses it: what a tree is at, read from its files; what a version means, asked of the remote."""

from __future__ import annotations

import os
import re
from typing import Dict, List, Sequence

from personaplex_provision.agent.host import Host
from personaplex_provision.agent.machine import Completed
from personaplex_provision.agent.resource import ResourceError
from personaplex_provision.agent.resources._http import shown
from personaplex_provision.agent.row import NamedTuple

COMMIT = re.compile(r"[0-9a-f]{40}([0-9a-f]{24})?")
"A full commit id."
_LONG = 3600.0


class Meaning(NamedTuple):
    """What a version means on the remote now; `reference` is empty for a commit id, `branch` for what is no branch."""

    commit: str
    reference: str
    branch: str


class Program:
    """Runs git for one task. `program`, `key_file` and `ssh_opts` are those of the kind."""

    def __init__(self, host: Host, program: str = "", key_file: str = "", ssh_opts: str = "") -> None:
        self.host = host
        self.program = program or "git"
        ssh = ["ssh", "-o BatchMode=yes"]
        if key_file:
            ssh += ["-i", f"'{host.expand(key_file)}'", "-o IdentitiesOnly=yes"]
        if ssh_opts:
            ssh.append(ssh_opts)
        self.env = {"GIT_TERMINAL_PROMPT": "0", "GIT_SSH_COMMAND": " ".join(ssh), "GIT_OPTIONAL_LOCKS": "0"}

    def ask(self, words: Sequence[str], tree: str = "") -> Completed:
        """What git answers to a question that changes nothing."""
        argv = [self.program, *(["-c", f"safe.directory={tree}", "-C", tree] if tree else []), *words]
        return self.host.query(argv, reads=[tree] if tree else [], env=self.env, timeout=120)

    def run(self, words: Sequence[str], tree: str = "", check: bool = True, trees: Sequence[str] = ()) -> Completed:
        """Has git change something. Raises ResourceError with what it said."""
        # Housekeeping in the background would change the tree after it was looked at.
        quiet = ["-c", "gc.auto=0", "-c", "maintenance.auto=false"]
        argv = [self.program, *quiet, *(["-c", f"safe.directory={tree}", "-C", tree] if tree else []), *words]
        timeout = self.host.timeout or _LONG
        found = self.host.run(argv, trees=trees, env=self.env, check=False, link=True, timeout=timeout)
        if check and found.rc != 0:
            raise explained(found, words[0])
        return found

    def meaning(self, repo: str, version: str) -> Meaning:
        """What a branch, tag, commit id or `HEAD` means on the remote. Raises ResourceError when it means nothing."""
        if COMMIT.fullmatch(version):
            return Meaning(version, "", "")
        tag = f"refs/tags/{version}"
        names = ["HEAD"] if version == "HEAD" else [f"refs/heads/{version}", tag, f"{tag}^{{}}"]
        if version.startswith("refs/"):
            names = [version, f"{version}^{{}}"]
        found = self.ask(["ls-remote", "--symref", "--", repo, *names])
        if found.rc != 0:
            raise explained(found, "ls-remote")
        return read_references(found.stdout, version, repo)

    def modified(self, tree: str) -> List[str]:
        """Files under version control that differ from what was committed, as `git status` marks them."""
        found = self.ask(["status", "--porcelain", "--untracked-files=no", "--ignore-submodules=none"], tree)
        if found.rc != 0:
            raise explained(found, "status")
        return [line for line in found.stdout.splitlines() if line.strip()]

    def has(self, tree: str, commit: str) -> bool:
        """Whether a commit is in the tree's own store."""
        return self.ask(["cat-file", "-e", f"{commit}^{{commit}}"], tree).rc == 0


def read_references(text: str, version: str, repo: str) -> Meaning:
    """The meaning of a version in what `ls-remote --symref` printed. Raises ResourceError when it is not there."""
    commits: Dict[str, str] = {}
    head = ""
    for line in text.splitlines():
        value, _, name = line.partition("\t")
        if value.startswith("ref: "):
            head = value[len("ref: ") :]
        elif COMMIT.fullmatch(value):
            commits[name] = value
    if version == "HEAD" and "HEAD" in commits:
        return Meaning(commits["HEAD"], "HEAD", head.replace("refs/heads/", "", 1))
    for name in (f"refs/heads/{version}", f"refs/tags/{version}", version):
        if name in commits:
            branch = name[len("refs/heads/") :] if name.startswith("refs/heads/") else ""
            return Meaning(commits.get(f"{name}^{{}}", commits[name]), name, branch)
    raise ResourceError(
        f'{shown(repo)} has no branch or tag "{version}"', "",
        "a commit is named by its full id" if re.fullmatch(r"[0-9a-f]{7,39}", version) else
        "the repository is empty" if version == "HEAD" else "check its spelling",
    )


def directory_of(host: Host, tree: str, bare: bool = False) -> str:
    """Where git keeps its own files for a tree, empty when the tree is none of git's."""
    if bare:
        return tree if host.stat(f"{tree}/HEAD").type == "file" and host.stat(f"{tree}/objects").exists else ""
    at = f"{tree}/.git"
    entry = host.stat(at, follow=True)
    if entry.type == "file":
        found = host.read_text(at).strip()
        there = os.path.normpath(os.path.join(tree, found[len("gitdir:") :].strip()))
        return there if found.startswith("gitdir:") else ""
    return at if entry.type == "directory" and host.stat(f"{at}/HEAD").type == "file" else ""


def commit_of(host: Host, directory: str, name: str = "HEAD") -> str:
    """The commit a reference is at, read from git's files; empty when there is none."""
    for _ in range(5):
        try:
            text = host.read_text(os.path.join(directory, name)).strip()
        except OSError:
            return _packed(host, directory, name)
        if not text.startswith("ref: "):
            return text if COMMIT.fullmatch(text) else ""
        name = text[len("ref: ") :]
    return ""


def remote_of(host: Host, directory: str, remote: str) -> str:
    """The address of a remote in git's configuration, empty when it has none."""
    try:
        text = host.read_text(f"{directory}/config")
    except OSError:
        return ""
    found = re.search(rf'(?ms)^\s*\[remote "{re.escape(remote)}"\](?:(?!^\s*\[).)*?^\s*url\s*=\s*([^\n]*?)\s*$', text)
    return found[1].strip('"') if found else ""


def loosen(host: Host, directory: str) -> None:
    """Gives the files that git writes in place (reflogs, FETCH_HEAD) inodes of their own, so that an image of the
    tree by hard links stays what it is; those of submodules too."""
    todo = [f"{one}/{name}" for one in _repositories(host, directory) for name in ("FETCH_HEAD", "logs")]
    while todo:
        at = todo.pop()
        entry = host.stat(at)
        if entry.type == "directory":
            todo += [f"{at}/{name}" for name in host.list(at)]
        elif entry.type == "file":
            host.write(at, host.read(at))


def _repositories(host: Host, directory: str) -> List[str]:
    """A repository's own directory, and those of its submodules; a name with a slash makes directories in between."""
    found, todo = [directory], [f"{directory}/modules"]
    while todo:
        at = todo.pop()
        if host.stat(at).type != "directory":
            continue
        if host.stat(f"{at}/HEAD").type == "file":
            found += _repositories(host, at)
        else:
            todo += [f"{at}/{name}" for name in host.list(at)]
    return found


def explained(found: Completed, what: str) -> ResourceError:
    """A failure of git, in words."""
    said = re.sub(r"(\w+://)[^@/\s]+@", r"\1", found.stderr.strip() or found.stdout.strip())
    hint = ""
    if "Permission denied (publickey" in said or "Host key verification failed" in said:
        hint = "give the key with key_file; the server's key belongs into known_hosts (kind known_hosts)"
    elif "could not read Username" in said or "Authentication failed" in said:
        hint = "the repository wants credentials, or its address is wrong"
    elif "dubious ownership" in said:
        hint = "the tree belongs to another user: run the task as that user with become_user"
    elif "certificate" in said:
        hint = "install the authority's certificate on the host"
    lines = "\n".join(said.splitlines()[-15:])
    return ResourceError(f"git {what} failed", lines, hint, {"rc": found.rc, "stderr": said})


def _packed(host: Host, directory: str, name: str) -> str:
    try:
        text = host.read_text(f"{directory}/packed-refs")
    except OSError:
        return ""
    for line in text.splitlines():
        commit, _, found = line.partition(" ")
        if found == name:
            return commit
    return ""
