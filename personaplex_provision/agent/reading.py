"""The reading half of the host: what a task can find out about the machine without changing it."""

from __future__ import annotations

import os
import stat as st
import subprocess
from typing import IO, TYPE_CHECKING, Callable, Dict, Iterable, List, Optional, Sequence, Tuple

from personaplex_provision.agent.digests import sha256
from personaplex_provision.agent.identity import Identity
from personaplex_provision.agent.image import Image
from personaplex_provision.agent.look import chunks, digest_of
from personaplex_provision.agent.machine import Completed, Entry, Group, Machine, User
from personaplex_provision.agent.packages import Packages
from personaplex_provision.agent.process import run_process
from personaplex_provision.agent.resource import ResourceError
from personaplex_provision.agent.store import Store
from personaplex_provision.agent.values import Blob

if TYPE_CHECKING:
    from personaplex_provision.agent.seen import Seen


class Reading:
    """The machine as one task sees it: who the task runs as, what it can read, whom it tells."""

    planning = False
    "Whether this is the planning host: nothing can be changed, and Unpredictable may be raised."

    def __init__(
        self,
        machine: Machine,
        store: Store,
        identity: Identity | None = None,
        environment: Dict[str, str] | None = None,
        secrets: Dict[str, bytes] | None = None,
        record: Callable[[List[Image]], None] | None = None,
        event: Callable[..., None] | None = None,
        timeout: float = 0.0,
        fetch: Callable[[str, Callable[[int], None]], None] | None = None,
    ) -> None:
        self.machine = machine
        self.store = store
        self.identity = identity or Identity()
        self.environment = environment or {}
        self.timeout = timeout
        self._secrets = secrets if secrets is not None else {}
        self._record = record
        self._event = event
        self._fetch = fetch
        self._taken: Dict[str, Image] = {}
        self.left: List[str] = []
        "What a failed step touched and could not put back, one sentence each."
        self.processes: List[subprocess.Popen[bytes]] = []
        self._seen: Optional[Seen] = None
        "What was read a moment ago, while the step only looks."

    def looking(self, only: bool = True) -> None:
        """From here on until the first change the same path is not read again and again; not `only`: it is."""
        from personaplex_provision.agent.seen import Seen  # here: a plan has no use for it

        self._seen = Seen() if only else None

    def expand(self, path: str) -> str:
        """`~` and `~user` as the task's user means them."""
        if path == "~" or path.startswith("~/"):
            return self.identity.home + path[1:]
        return os.path.expanduser(path) if path.startswith("~") else path

    def stat(self, path: str, follow: bool = False) -> Entry:
        """What is at `path`; `type` is `absent` when nothing is. Raises PermissionError."""
        seen = self._seen
        if seen is None:
            return _entry(path, follow)
        entry = seen.entry(path, follow)
        if entry is None and follow:
            entry = self.stat(path)  # hardly ever a link, and then it is known for both
            if entry.type == "link":
                entry = _entry(path, True)
                seen.hold(path, True, entry)
        elif entry is None:
            entry = _entry(path, False)
            seen.hold(path, False, entry)
        return entry

    def realpath(self, path: str) -> str:
        """The path with all links followed."""
        return os.path.realpath(path)

    def read(self, path: str) -> bytes:
        """A file's content. Raises FileNotFoundError, IsADirectoryError, PermissionError."""
        held = self._content(path)
        return held[0] if held is not None else b"".join(chunks(path))

    def held(self, path: str) -> Optional[bytes]:
        """What a file holds where it is small and the step only looks, else None. Raises as `read`."""
        held = self._content(path)
        return held[0] if held is not None else None

    def read_text(self, path: str) -> str:
        """A file's content as UTF-8; bytes that are not survive a round trip."""
        return self.read(path).decode("utf-8", "surrogateescape")

    def list(self, path: str) -> List[str]:
        """Names in a directory, sorted. Raises FileNotFoundError."""
        return sorted(os.listdir(path))

    def digest(self, path: str) -> Blob:
        """The content of a file by digest and size. Raises FileNotFoundError."""
        held = self._content(path)
        if held is not None:
            return Blob(held[1], len(held[0]))
        if os.stat(path).st_size < LARGE:
            return Blob(*digest_of(path))
        with self.identity.itself():
            known = self.store.known
        return Blob(*known.digest(path))

    def _content(self, path: str) -> Optional[Tuple[bytes, str]]:
        """A small file's content and its digest, where these are held; raises as `read`."""
        seen = self._seen
        if seen is None:
            return None
        status = os.stat(path)
        if not st.S_ISREG(status.st_mode) or not seen.holds(status):
            return None
        held = seen.content(path, status)
        if held is None:
            data = b"".join(chunks(path))
            held = data, sha256(data).hexdigest()
            seen.hold_content(path, status, *held)
        return held

    def user(self, name: str) -> Optional[User]:
        """The user of that name, or None."""
        return self.machine.user(name)

    def group(self, name: str) -> Optional[Group]:
        """The group of that name, or None."""
        return self.machine.group(name)

    def owner_name(self, uid: int) -> str:
        """The name of a uid, or its number as text."""
        return self.machine.owner_name(uid)

    def group_name(self, gid: int) -> str:
        """The name of a gid, or its number as text."""
        return self.machine.group_name(gid)

    def packages(self) -> Packages:
        """dpkg's packages by name, whatever their status."""
        return self.machine.packages()

    def which(self, program: str) -> Optional[str]:
        """The absolute path of a program as the task would find it, or None."""
        if os.path.dirname(program):
            return program if _runs(program) else None
        places = self.command_environment()["PATH"].split(os.pathsep)
        return next((path for one in places if _runs(path := os.path.join(one, program))), None)

    def query(
        self, argv: Sequence[str], reads: Iterable[str] = (), env: Dict[str, str] | None = None,
        stdin: str = "", chdir: str = "", timeout: float = 60.0, shortcut: Callable[[], Optional[str]] | None = None,
    ) -> Completed:
        """Runs a command that only reads; equal questions are asked once. Raises ResourceError when it is not there.

        `reads` names the paths the answer depends on, so that the planning host can tell when it would be wrong.
        `shortcut` gives what the command would print without it being run, or None where it cannot.
        """
        def ask() -> Completed:
            said = shortcut() if shortcut is not None else None
            return self._run(argv, env, stdin, chdir, timeout, None) if said is None else Completed(
                tuple(argv), 0, said, "")

        key = ("query", tuple(argv), self.identity.name, tuple(sorted((env or {}).items())), stdin, chdir)
        found = self.machine.remember(key, ask)
        assert isinstance(found, Completed)
        return found

    def blob(self, blob: Blob) -> bytes:
        """The content a blob names. Raises ResourceError when it never arrived."""
        with self.open_blob(blob) as file:
            return file.read()

    def open_blob(self, blob: Blob) -> IO[bytes]:
        """The content a blob names, for reading."""
        import io

        if blob.sha256 in self._secrets:
            return io.BytesIO(self._secrets[blob.sha256])
        with self.identity.itself():
            try:
                if self._fetch is not None and not self.planning and not self.store.has(blob.sha256):
                    self._fetch(blob.sha256, lambda done: self.progress("received", done, blob.size))
                return self.store.open(blob.sha256)
            except FileNotFoundError:
                raise ResourceError(f"the content {blob} did not reach the host") from None

    # telling

    def progress(self, text: str, done: int = 0, total: int = 0) -> None:
        """How far the task is, in units of the task's own (bytes for downloads); `total` 0 when unknown."""
        if self._event:
            self._event("task_progress", text=text, done=done, total=total)

    def output(self, line: str) -> None:
        """A line of what a long command says."""
        if self._event:
            self._event("task_output", line=line)

    # inner parts

    def command_environment(self, env: Dict[str, str] | None = None) -> Dict[str, str]:
        """The environment commands get: a plain one, the user's, the task's, and `env` on top."""
        found = {
            "PATH": os.environ.get("PATH") or _PATH, "LC_ALL": "C.UTF-8", "LANG": "C.UTF-8",
            "HOME": self.identity.home, "USER": self.identity.name, "LOGNAME": self.identity.name,
            "SHELL": self.identity.shell or "/bin/sh",
        }
        for one in _PATH.split(":"):
            if one not in found["PATH"].split(":"):
                found["PATH"] += f":{one}"
        for name in _INHERITED:
            if name in os.environ:
                found[name] = os.environ[name]
        return {**found, **self.environment, **(env or {})}

    def _run(
        self, argv: Sequence[str], env: Dict[str, str] | None, stdin: str, chdir: str, timeout: float,
        on_line: Callable[[str], None] | None,
    ) -> Completed:
        return run_process(
            list(argv), self.command_environment(env), stdin=stdin, chdir=chdir, timeout=timeout,
            identity=self.identity, on_line=on_line, running=self.processes,
        )


def _entry(path: str, follow: bool) -> Entry:
    try:
        found = os.stat(path) if follow else os.lstat(path)
    except (FileNotFoundError, NotADirectoryError):
        return _ABSENT
    kind = _TYPES.get(st.S_IFMT(found.st_mode), "other")
    target = os.readlink(path) if kind == "link" else ""
    return Entry(
        kind, st.S_IMODE(found.st_mode), found.st_uid, found.st_gid, found.st_size, found.st_mtime_ns,
        target, found.st_ino, found.st_dev, found.st_nlink,
    )


def _runs(path: str) -> bool:
    return os.access(path, os.X_OK) and not os.path.isdir(path)


LARGE = 4 << 20
"Bytes from which on a file's digest is kept, since to make it again takes long (`known.py`)."
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_INHERITED = ("http_proxy", "https_proxy", "no_proxy", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "SSL_CERT_FILE", "TZ")
_ABSENT = Entry("absent")
_TYPES = {st.S_IFREG: "file", st.S_IFDIR: "directory", st.S_IFLNK: "link"}
