"""The `pyenv_python` kind."""

from __future__ import annotations

import json
import os
import re
from typing import Any, Dict, Iterator, List

from personaplex_provision.agent.host import Host
from personaplex_provision.agent.record import dataclass, field
from personaplex_provision.agent.resource import Address, Change, Resource, ResourceError, observed
from personaplex_provision.agent.resources._attributes import check_path
from personaplex_provision.agent.resources._git import COMMIT
from personaplex_provision.agent.resources.git import Git

EXAMPLE = """
- name: the Python PersonaPlex runs on
  pyenv_python:
    version: 3.10.14
    root: /opt/pyenv
    repo: https://github.com/pyenv/pyenv.git
    tag: v2.8.1
    source_sha256: 9c50481faa8c2832329ba0fc8868d0a606a680fc4f60ec48d26ce8e076751fda
"""
_LONG = 7200.0
_NEEDED_FOR = {
    "ssl": "libssl-dev", "zlib": "zlib1g-dev", "ctypes": "libffi-dev", "bz2": "libbz2-dev", "lzma": "liblzma-dev",
    "sqlite3": "libsqlite3-dev", "readline": "libreadline-dev",
}


@dataclass
class PyenvPython(Resource):
    """A CPython built from source by pyenv's python-build, in `ROOT/versions/VERSION`.

    It is in state when that Python answers with its version and imports every module of `verify_modules`: pyenv itself
    only warns when ctypes, bz2, lzma or sqlite3 could not be built. It is built at its final place, since a Python
    with a shared library remembers where it was installed; what a failed build leaves is taken away. Taken back
    exactly: the directory goes, or the one before comes back.
    """

    kind = "pyenv_python"
    reversible_why = "The directory of that version goes, or the one that was there comes back whole."
    slow = True
    identity = ("version", "root")
    unmanaged = (
        "repo", "tag", "commit", "mirror_url", "cache_dir", "source_sha256", "configure_opts", "make_opts", "jobs",
        "verify_modules",
    )

    version: str
    "Version of CPython, as pyenv names it."
    root: str
    "pyenv's directory: a checkout made by a `git` task, or by this one when `repo` is given."
    repo: str | None = None
    "Address of pyenv's repository, where this task makes the checkout."
    tag: str | None = None
    "Tag of pyenv to check out."
    commit: str | None = None
    "Full commit id of pyenv; with `tag`, what the tag must mean."
    mirror_url: str | None = None
    "Mirror of the sources, asked for `MIRROR/SHA256`."
    cache_dir: str | None = None
    "Directory with source archives, used instead of the network where the archive is there."
    source_sha256: str | None = None
    "Digest of the source archive; pyenv's own must agree."
    configure_opts: str | None = None
    "Options for CPython's configure."
    make_opts: str | None = None
    "Options for make."
    jobs: int | None = None
    "Compilations at once; the number of processors when left out."
    verify_modules: List[str] = field(
        default_factory=lambda: ["ssl", "zlib", "ctypes", "bz2", "lzma", "sqlite3", "readline"]
    )
    "Modules that must import."
    state: str = observed("present")
    "`present`, `absent`, or `broken`."
    missing: List[str] | None = observed()
    "Modules that do not import."
    checkout: bool = observed(True)
    "Whether pyenv itself is as wanted."

    def validate(self) -> Iterator[str]:
        yield from check_path("root", self.root)
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", self.version):
            yield f'version "{self.version}" is none of pyenv\'s'
        if self.repo and not (self.tag or self.commit):
            yield "repo needs tag or commit, so that the build is the same next time"
        if (self.tag or self.commit) and not self.repo:
            yield "tag and commit say what to check out of repo, which is not given"
        if self.commit and not COMMIT.fullmatch(self.commit):
            yield "commit is a full commit id: 40 hexadecimal digits"
        if self.source_sha256 and not re.fullmatch(r"[0-9a-f]{64}", self.source_sha256):
            yield "source_sha256 has 64 hexadecimal digits in lower case"

    def observe(self, host: Host) -> PyenvPython:
        now = PyenvPython(self.version, self.root)
        prefix = self._prefix(host)
        if host.declared("python", f"{prefix}/bin/python"):
            return now
        planned = host.declared("git", self._root(host))
        pyenv = self._pyenv()
        if pyenv is not None:
            now.checkout = not pyenv.diff(pyenv.observe(host))
        if (planned and planned.get("fresh")) or not host.stat(f"{prefix}/bin/python", follow=True).exists:
            now.state = "absent"
            return now
        code = (
            "import importlib,json,sys\nbad=[]\nfor one in sys.argv[1:]:\n try: importlib.import_module(one)\n"
            " except Exception: bad.append(one)\n"
            "print(json.dumps(['.'.join(map(str,sys.version_info[:3])),bad]))"
        )
        found = host.query([f"{prefix}/bin/python", "-IB", "-c", code, *self.verify_modules], reads=[prefix])
        try:
            version, now.missing = json.loads(found.stdout)
        except ValueError:
            now.state = "broken"
            return now
        if now.missing or not self._is_version(version):
            now.state = "broken"
        return now

    def diff(self, now: PyenvPython) -> List[Change]:
        found = [] if now.checkout else [Change("pyenv", None, self.tag or self.commit)]
        if now.state == "absent":
            found.append(Change("python", None, self.version))
        elif now.state == "broken":
            why = f"without {', '.join(now.missing)}" if now.missing else "does not answer"
            found.append(Change("python", f"{self.version} {why}", self.version))
        return found

    def action(self, now: PyenvPython, changes: List[Change]) -> str:
        return "none" if not changes else "create" if now.state == "absent" else "update"

    def converge(self, now: PyenvPython, host: Host) -> None:
        pyenv = self._pyenv()
        if pyenv is not None and not now.checkout:
            pyenv.converge(pyenv.observe(host), host)
        if now.state == "present":
            return
        program = f"{self._root(host)}/plugins/python-build/bin/python-build"
        if not host.stat(program, follow=True).exists:
            raise ResourceError(
                f"there is no pyenv in {self.root}", f"{program} is not there",
                f"add a `git` task with `dest: {self.root}` before this one, or give `repo` and `tag`",
            )
        self._check_source(host)
        prefix = self._prefix(host)
        host.mkdir(os.path.dirname(prefix))
        if host.stat(prefix).exists:
            host.remove(prefix)
        if self.cache_dir and not host.stat(host.expand(self.cache_dir), follow=True).exists:
            host.touch_image(host.expand(self.cache_dir), whole=True)
            host.mkdir(host.expand(self.cache_dir))
        found = host.run(
            [program, self.version, prefix], trees=[prefix], env=self._environment(host), check=False,
            timeout=host.timeout or _LONG,
        )
        if found.rc != 0:
            raise _failed(self.version, found.stdout, found.stderr)
        host.changed()
        after = self.observe(host)
        if after.missing:
            packages = [_NEEDED_FOR[one] for one in after.missing if one in _NEEDED_FOR]
            raise ResourceError(
                f"Python {self.version} was built without {', '.join(after.missing)}", _tail(found.stderr),
                f"install {' '.join(packages)} before it" if packages else "",
            )

    def predict(self, now: PyenvPython, host: Host) -> None:
        pyenv = self._pyenv()
        if pyenv is not None and not now.checkout:
            pyenv.predict(pyenv.observe(host), host)
        if now.state != "present":
            prefix = self._prefix(host)
            host.touch_image(prefix, whole=True, link=True)
            host.opaque(prefix)
            host.declare("python", f"{prefix}/bin/python", self.version)

    def result(self, now: PyenvPython, after: PyenvPython, host: Host) -> Dict[str, Any]:
        return {"version": self.version, "path": self._prefix(host), "python": f"{self._prefix(host)}/bin/python"}

    def provides(self) -> List[Address]:
        prefix = f"{self.root.rstrip('/')}/versions/{self.version}"
        return [("path", prefix), *([("path", self.root.rstrip("/"))] if self.repo else [])]

    def needs(self) -> List[Address]:
        root = self.root.rstrip("/")
        found: List[Address] = [("path", os.path.dirname(root) if self.repo else root)]
        found += [("command", "git")] if self.repo else []
        found += [("path", self.cache_dir)] if self.cache_dir else []
        packages = ("build-essential", "gcc", "make", "curl", "xz-utils", *_NEEDED_FOR.values())
        return [*found, *(("package", one) for one in packages)]

    def _root(self, host: Host) -> str:
        return host.expand(self.root).rstrip("/")

    def _prefix(self, host: Host) -> str:
        return f"{self._root(host)}/versions/{self.version}"

    def _pyenv(self) -> Git | None:
        if self.repo is None:
            return None
        return Git(self.repo, self.root, self.tag or self.commit or "HEAD", verify_commit=self.commit)

    def _is_version(self, found: str) -> bool:
        return self.version == found or re.match(r"\d+\.\d+(\.\d+)?$", self.version) is None or (
            self.version.count(".") == 1 and found.startswith(self.version + ".")
        )

    def _environment(self, host: Host) -> Dict[str, str]:
        found = {"PYENV_ROOT": self._root(host)}
        if self.mirror_url:
            found["PYTHON_BUILD_MIRROR_URL"] = self.mirror_url
        if self.cache_dir:
            found["PYTHON_BUILD_CACHE_PATH"] = host.expand(self.cache_dir)
        if self.configure_opts:
            found["PYTHON_CONFIGURE_OPTS"] = self.configure_opts
        jobs = f"-j{self.jobs or os.cpu_count() or 1}"
        found["MAKE_OPTS"] = f"{jobs} {self.make_opts}" if self.make_opts else jobs
        return found

    def _check_source(self, host: Host) -> None:
        definition = f"{self._root(host)}/plugins/python-build/share/python-build/{self.version}"
        try:
            text = host.read_text(definition)
        except FileNotFoundError:
            raise ResourceError(
                f"this pyenv does not know Python {self.version}", "", "check out a newer pyenv, or another version",
            ) from None
        if self.source_sha256 and self.source_sha256 not in text:
            digests = re.findall(rf"Python-{re.escape(self.version)}\.\S*#([0-9a-f]{{64}})", text)
            raise ResourceError(
                f"pyenv builds Python {self.version} from another source than source_sha256 says",
                f"expected {self.source_sha256}\npyenv's  {' or '.join(digests) or 'none'}",
            )


def _failed(version: str, stdout: str, stderr: str) -> ResourceError:
    log = re.search(r"Results logged to (\S+)", stdout + stderr)
    hint = f"the whole log is on the host: {log[1]}" if log else ""
    missing = re.findall(r"The Python (\S+) extension was not compiled", stdout + stderr)
    packages = [_NEEDED_FOR[one] for one in missing if one in _NEEDED_FOR]
    if packages:
        hint = f"install {' '.join(packages)} before it; " + hint
    elif "C compiler" in stdout + stderr:
        hint = "install build-essential before it; " + hint
    result = {"rc": 1, "stdout": stdout[-20000:], "stderr": stderr[-20000:], "log": log[1] if log else ""}
    return ResourceError(f"Python {version} could not be built", _tail(stderr or stdout), hint.rstrip("; "), result)


def _tail(text: str) -> str:
    return "\n".join(text.strip().splitlines()[-25:])
