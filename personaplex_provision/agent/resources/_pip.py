"""Running pip for the `pip` kind."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import tempfile
from typing import Dict, List, Sequence, Set, Tuple

from personaplex_provision.agent.host import Host
from personaplex_provision.agent.machine import Completed
from personaplex_provision.agent.record import dataclass, field
from personaplex_provision.agent.resource import ResourceError
from personaplex_provision.agent.resources._distributions import (
    LEFT_OUT,
    files_of,
    read_all,
    remember_source,
    source_digest,
)
from personaplex_provision.agent.resources._interpreter import Interpreter
from personaplex_provision.agent.resources._requirement import Requirement, canonical
from personaplex_provision.agent.resources._satisfying import find, label

_COMMON = ("--disable-pip-version-check", "--no-input")


@dataclass
class Sources:
    """Where pip looks and what it is held to."""

    index_url: str = ""
    extra_index_urls: List[str] = field(default_factory=list)
    find_links: List[str] = field(default_factory=list)
    no_index: bool = False
    constraints: List[str] = field(default_factory=list)
    require_hashes: bool = False
    extra_args: str = ""

    def words(self) -> List[str]:
        """As arguments of `pip install`; indexes, which may hold credentials, go by the environment."""
        found = ["--no-index"] if self.no_index else []
        for one in self.find_links:
            found += ["--find-links", one]
        for one in self.constraints:
            found += ["--constraint", one]
        return [*found, *(["--require-hashes"] if self.require_hashes else []), *shlex.split(self.extra_args)]

    def environment(self) -> Dict[str, str]:
        """Variables that pip reads."""
        found = {"PIP_ROOT_USER_ACTION": "ignore", "PYTHONWARNINGS": "ignore"}
        if self.index_url:
            found["PIP_INDEX_URL"] = self.index_url
        if self.extra_index_urls:
            found["PIP_EXTRA_INDEX_URL"] = " ".join(self.extra_index_urls)
        return found


class Pip:
    """pip of one interpreter, in one task."""

    def __init__(self, host: Host, target: Interpreter, argv: Sequence[str], sources: Sources, chdir: str) -> None:
        self.host = host
        self.target = target
        self.argv = list(argv) or [target.python, "-m", "pip"]
        self.sources = sources
        self.chdir = chdir

    def install(self, words: Sequence[str]) -> Completed:
        """`pip install`. Raises ResourceError with what pip said at the end."""
        argv = [*self.argv, "install", *_COMMON, *self.sources.words(), *words]
        return self._run(argv)

    def uninstall(self, names: Sequence[str]) -> None:
        """Removes distributions."""
        self._run([*self.argv, "uninstall", "--yes", "--disable-pip-version-check", *names])

    def newer(self, names: Sequence[str]) -> List[Tuple[str, str]]:
        """Which of `names` an upgrade would bring to another version, as (name, version). Needs the index."""
        argv = [*self.argv, "install", *_COMMON, *self.sources.words(), "--upgrade", "--dry-run", "--no-deps", *names]
        found = self.host.query(
            argv, reads=[*self.target.sites, self.target.python], env=self.sources.environment(), chdir=self.chdir,
            timeout=600,
        )
        if found.rc != 0:
            raise _explained(found, self.target)
        line = re.search(r"(?m)^Would install (.*)$", found.stdout)
        if line is None:
            return []
        return [(one.rpartition("-")[0], one.rpartition("-")[2]) for one in line[1].split()]

    def install_directories(self, directories: Sequence[Requirement], words: Sequence[str]) -> None:
        """Installs projects from copies of their directories: building leaves traces in a tree, and the tree may
        belong to someone else. The distributions remember the original and what it held."""
        with tempfile.TemporaryDirectory(prefix="provision-") as folder:
            copies = []
            for number, one in enumerate(directories):
                copy = os.path.join(folder, str(number), os.path.basename(one.path.rstrip("/")))
                shutil.copytree(one.path, copy, symlinks=True, ignore=_left_out)
                copies.append((copy, one))
            texts = [copy + _extras(one) for copy, one in copies]
            self.install([*words, *texts])
            for copy, one in copies:
                self._remember(copy, one.path)

    def bring(self, wanted: Sequence[Requirement], open_: Set[str], words: Sequence[str], file: str = "") -> None:
        """Installs what is named, and a requirements file; `open_` are the labels of what is not yet as wanted."""
        installed = read_all(self.host, self.target.sites)
        # pip leaves an archive or address alone when its version is there already, whatever its content.
        forced = [
            one for one in wanted if (one.path or one.url) and not one.editable and one.key in installed
            and label(one) in open_
        ]
        if forced:
            self.install(["--force-reinstall", "--no-deps", *(word for one in forced for word in _words(one))])
        directories = [one for one in wanted if one.path and not one.name and not one.editable]
        needed = [one for one in directories if label(one) in open_ or "--force-reinstall" in words]
        if needed:
            self.install_directories(needed, words)
        arguments = [word for one in wanted if one not in directories for word in _words(one)]
        arguments += ["--requirement", file] if file else []
        if arguments:
            self.install([*words, *arguments])

    def take_away(self, names: Sequence[str], wanted: Sequence[Requirement]) -> None:
        """Removes distributions, and with them those of `wanted` that share files with one of them: two distributions
        may install the same package over each other, and what is left of the other has to be brought anew."""
        installed = read_all(self.host, self.target.sites)
        gone = [installed[canonical(one)] for one in names if canonical(one) in installed]
        if not gone:
            return
        files = {path for one in gone for path in files_of(self.host, one)}
        kept = [have for have in (find(one, installed) for one in wanted) if have is not None and have not in gone]
        torn = [have for have in kept if files & set(files_of(self.host, have))]
        self.uninstall(sorted(one.name for one in [*gone, *torn]))

    def _remember(self, copy: str, path: str) -> None:
        real = os.path.realpath(copy)
        for have in read_all(self.host, self.target.sites).values():
            if have.path and os.path.realpath(have.path) == real:
                remember_source(self.host, have, path, source_digest(self.host, path))
                return
        raise ResourceError(f"pip installed {path} and left no trace of where it came from", "", "use a newer pip")

    def _run(self, argv: List[str]) -> Completed:
        found = self.host.run(
            argv, env=self.sources.environment(), chdir=self.chdir, check=False, timeout=self.host.timeout,
        )
        if found.rc != 0:
            raise _explained(found, self.target)
        return found


def _words(one: Requirement) -> List[str]:
    what = one.path + _extras(one) if one.path else one.url or one.text
    what = one.text if "@" in one.text and one.name and not one.editable else what
    return ["--editable", what] if one.editable else [what]


def _extras(one: Requirement) -> str:
    return f"[{','.join(sorted(one.extras))}]" if one.extras else ""


def _left_out(_folder: str, names: List[str]) -> List[str]:
    # A project's version may come from its repository, so that `.git` travels although it is no part of the digest.
    return [one for one in names if (one in LEFT_OUT and one != ".git") or one.endswith((".egg-info", ".pyc"))]


def _explained(found: Completed, target: Interpreter) -> ResourceError:
    said = re.sub(r"(\w+://)[^@/\s]+@", r"\1", found.stderr.strip() or found.stdout.strip())
    hint = ""
    if "No module named pip" in said:
        hint = "the environment has no pip: make it with the kind virtualenv, or install python3-pip"
    elif "externally-managed-environment" in said:
        hint = "this Python belongs to the system: give `virtualenv`"
    elif "No matching distribution found" in said:
        hint = f"the sources hold nothing that fits Python {target.series} on {os.uname().machine}"
    elif "ResolutionImpossible" in said:
        hint = "where a package pins something too tightly, `overrides` wins over what it says"
    elif "DO NOT MATCH THE HASHES" in said:
        hint = "the file is another one than the requirements expect: do not trust it before you know why"
    lines = [line for line in said.splitlines() if "[notice]" not in line]
    result = {"rc": found.rc, "stdout": found.stdout, "stderr": said}
    return ResourceError("pip failed", "\n".join(lines[-20:]), hint, result)
