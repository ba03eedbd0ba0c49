"""The machine as a task sees it, and the only way by which a kind touches it.

Because everything passes here, reads that tasks share are done once, every write is atomic and journaled with what was
there before, and a test can make the N-th operation fail. Reading methods work the same on the planning host
(`overlay.py`), which knows what earlier tasks will have done.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import shutil
import stat as st
import subprocess
from typing import IO, Any, Callable, Dict, Iterable, Iterator, List, Optional, Sequence, Union

from personaplex_provision.agent import image as images
from personaplex_provision.agent.identity import Identity
from personaplex_provision.agent.machine import Completed, Entry, Group, Machine, Package, User
from personaplex_provision.agent.process import run_process
from personaplex_provision.agent.resource import ResourceError
from personaplex_provision.agent.store import Store, copy_owner, copy_tree
from personaplex_provision.agent.values import Blob

Data = Union[bytes, Blob]


class Host:
    """The host as one task sees it: who the task runs as, what it may write down, whom it tells."""

    planning = False
    "Whether this is the planning host: nothing can be changed, and Unpredictable may be raised."

    def __init__(
        self,
        machine: Machine,
        store: Store,
        identity: Identity | None = None,
        environment: Dict[str, str] | None = None,
        secrets: Dict[str, bytes] | None = None,
        record: Callable[[images.Image], None] | None = None,
        event: Callable[..., None] | None = None,
        timeout: float = 0.0,
        fetch: Callable[[str], None] | None = None,
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
        self._taken: Dict[str, images.Image] = {}
        self.processes: List[subprocess.Popen[bytes]] = []

    # reading

    def expand(self, path: str) -> str:
        """`~` and `~user` as the task's user means them."""
        if path == "~" or path.startswith("~/"):
            return self.identity.home + path[1:]
        return os.path.expanduser(path) if path.startswith("~") else path

    def stat(self, path: str, follow: bool = False) -> Entry:
        """What is at `path`; `type` is `absent` when nothing is. Raises PermissionError."""
        try:
            found = os.stat(path) if follow else os.lstat(path)
        except (FileNotFoundError, NotADirectoryError):
            return Entry("absent")
        kind = _TYPES.get(st.S_IFMT(found.st_mode), "other")
        target = os.readlink(path) if kind == "link" else ""
        return Entry(
            kind, st.S_IMODE(found.st_mode), found.st_uid, found.st_gid, found.st_size, found.st_mtime_ns,
            target, found.st_ino, found.st_dev, found.st_nlink,
        )

    def realpath(self, path: str) -> str:
        """The path with all links followed."""
        return os.path.realpath(path)

    def read(self, path: str) -> bytes:
        """A file's content. Raises FileNotFoundError, IsADirectoryError, PermissionError."""
        with open(path, "rb") as file:
            return file.read()

    def read_text(self, path: str) -> str:
        """A file's content as UTF-8; bytes that are not survive a round trip."""
        return self.read(path).decode("utf-8", "surrogateescape")

    def list(self, path: str) -> List[str]:
        """Names in a directory, sorted. Raises FileNotFoundError."""
        return sorted(os.listdir(path))

    def digest(self, path: str) -> Blob:
        """The content of a file by digest and size. Raises FileNotFoundError."""
        digest, size = hashlib.sha256(), 0
        with open(path, "rb") as file:
            for chunk in iter(lambda: file.read(1 << 20), b""):
                digest.update(chunk)
                size += len(chunk)
        return Blob(digest.hexdigest(), size)

    def user(self, name: str) -> Optional[User]:
        """The user of that name, or None."""
        return self.machine.user(name)

    def group(self, name: str) -> Optional[Group]:
        """The group of that name, or None."""
        return self.machine.group(name)

    def owner_name(self, uid: int) -> str:
        """The name of a uid, or its number as text."""
        import pwd

        with contextlib.suppress(KeyError):
            return pwd.getpwuid(uid).pw_name
        return str(uid)

    def group_name(self, gid: int) -> str:
        """The name of a gid, or its number as text."""
        import grp

        with contextlib.suppress(KeyError):
            return grp.getgrgid(gid).gr_name
        return str(gid)

    def packages(self) -> Dict[str, Package]:
        """dpkg's packages by name, whatever their status."""
        return self.machine.packages()

    def which(self, program: str) -> Optional[str]:
        """The absolute path of a program as the task would find it, or None."""
        return shutil.which(program, path=self.command_environment().get("PATH"))

    def query(
        self, argv: Sequence[str], reads: Iterable[str] = (), env: Dict[str, str] | None = None,
        stdin: str = "", chdir: str = "", timeout: float = 60.0,
    ) -> Completed:
        """Runs a command that only reads; equal questions are asked once. Raises ResourceError when it is not there.

        `reads` names the paths the answer depends on, so that the planning host can tell when it would be wrong.
        """
        key = ("query", tuple(argv), self.identity.name, tuple(sorted((env or {}).items())), stdin, chdir)
        found = self.machine.remember(key, lambda: self._run(argv, env, stdin, chdir, timeout, None))
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
                    self._fetch(blob.sha256)
                return self.store.open(blob.sha256)
            except FileNotFoundError:
                raise ResourceError(f"the content {blob} did not reach the host") from None

    # what will be there, for the planning host

    def declared(self, what: str, name: str) -> Any:
        """What an earlier task declared about `(what, name)`, or None; always None on the real host."""
        return None

    def declare(self, what: str, name: str, value: Any = True) -> None:
        """Says what this task will have made true; only heard on the planning host."""

    def opaque(self, path: str, why: str = "") -> None:
        """Says that a tree will be there whose inside is not known; only heard on the planning host."""

    # writing

    def write(
        self, path: str, data: Data | Iterable[bytes], mode: int | None = None,
        uid: int | None = None, gid: int | None = None,
    ) -> None:
        """Writes a file atomically; keeps mode and owner of the file it replaces unless they are given.

        A new file gets 0666 less the umask, unless `mode` is given; it is never readable by more than that.
        """
        self.touch_image(path)
        before = self.stat(path)
        fresh = before.type != "file"
        want_mode = mode if mode is not None else (0o666 & ~_umask() if fresh else before.mode)
        beside = images.spare(path)
        self.step()
        with contextlib.suppress(FileNotFoundError):
            os.unlink(beside)
        with open(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            if isinstance(data, Blob):
                with self.open_blob(data) as source:
                    shutil.copyfileobj(source, file, 1 << 20)
            elif isinstance(data, bytes):
                file.write(data)
            else:
                for chunk in data:
                    file.write(chunk)
            if not fresh or uid is not None or gid is not None:
                keep_uid, keep_gid = (-1, -1) if fresh else (before.uid, before.gid)
                _chown(file.fileno(), uid if uid is not None else keep_uid, gid if gid is not None else keep_gid)
            os.fchmod(file.fileno(), want_mode)
            file.flush()
            os.fsync(file.fileno())
        self.step()
        os.replace(beside, path)

    def mkdir(self, path: str, mode: int | None = None) -> None:
        """Makes a directory and its missing parents."""
        missing: List[str] = []
        at = path.rstrip("/") or "/"
        while at and not self.stat(at, follow=True).exists:
            missing.append(at)
            at = os.path.dirname(at)
        for one in reversed(missing):
            self.touch_image(one)
            self.step()
            os.mkdir(one)
        if mode is not None:
            self.chmod(path, mode)

    def symlink(self, target: str, path: str) -> None:
        """Makes `path` a link to `target`, replacing a file or link there in one step."""
        self._replace(path, lambda beside: os.symlink(target, beside))

    def link(self, target: str, path: str) -> None:
        """Makes `path` a hard link to `target`, replacing what is there in one step."""
        self._replace(path, lambda beside: os.link(target, beside))

    def chmod(self, path: str, mode: int) -> None:
        """Sets the permission bits."""
        self.touch_image(path)
        self.step()
        os.chmod(path, mode)

    def chown(self, path: str, uid: int = -1, gid: int = -1) -> None:
        """Sets owner and group (-1 leaves one as it is), of a link itself and not of its target."""
        self.touch_image(path)
        self.step()
        mode = self.stat(path)
        os.lchown(path, uid, gid)
        if mode.type != "link" and mode.mode & 0o6000:
            os.chmod(path, mode.mode)

    def utime(self, path: str, seconds: float | None = None) -> None:
        """Sets access and modification time; now when left out."""
        self.touch_image(path)
        self.step()
        os.utime(path, None if seconds is None else (seconds, seconds))

    def remove(self, path: str) -> None:
        """Removes a file, a link, or a directory with all it holds."""
        if self.stat(path).type == "directory":
            self.touch_image(path, whole=True)
            self.step()
            if os.path.isdir(path):
                shutil.rmtree(path)
            return
        self.touch_image(path)
        self.step()
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path)

    def rename(self, source: str, target: str, whole: bool = True) -> None:
        """Moves a path; `target` is replaced."""
        self.touch_image(source, whole=whole)
        self.touch_image(target, whole=whole)
        self.step()
        if self.stat(target).type == "directory":
            shutil.rmtree(target)
        try:
            os.rename(source, target)
        except OSError as error:
            if error.errno != errno.EXDEV:
                raise
            _move(source, target)
        self.machine.forget()

    def run(
        self, argv: Sequence[str], touches: Iterable[str] = (), trees: Iterable[str] = (),
        env: Dict[str, str] | None = None, stdin: str = "", chdir: str = "", timeout: float = 0.0, check: bool = True,
        on_line: Callable[[str], None] | None = None, link: bool = False,
    ) -> Completed:
        """Runs a command that changes the host.

        `touches` names files whose images are kept first; `trees` names directories kept whole (by hard links with
        `link`, for programs that replace files and never write into them). With `check` a non-zero exit raises
        ResourceError with the end of its output.
        """
        for path in touches:
            self.touch_image(path)
        for path in trees:
            self.touch_image(path, whole=True, link=link)
        self._sync()
        self.step()
        found = self._run(argv, env, stdin, chdir, timeout or self.timeout, on_line or self.output)
        self.machine.forget()
        if check and found.rc != 0:
            tail = "\n".join((found.stderr.strip() or found.stdout.strip()).splitlines()[-20:])
            result = {"rc": found.rc, "stdout": found.stdout, "stderr": found.stderr, "cmd": list(argv)}
            raise ResourceError(f"{os.path.basename(argv[0])} exited with {found.rc}", tail, result=result)
        return found

    def changed(self) -> None:
        """Tells that something was changed past this object; shared reads are asked anew."""
        self.machine.forget()

    def touch_image(self, path: str, whole: bool = False, link: bool = False) -> None:
        """Journals the image of a path before it is changed, once a task; a whole tree covers what is inside."""
        self.machine.forget()
        if self._record is None or any(_inside(path, one) for one, image in self._taken.items() if image["whole"]):
            return
        if path in self._taken and not whole:
            return
        with self.identity.itself():
            image = images.capture(path, self.store, whole=whole, link=link)
            self._taken.setdefault(path, image)
            self._record(image)

    def images(self) -> List[images.Image]:
        """The images taken so far, in order."""
        return list(self._taken.values())

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

    def step(self) -> None:
        """One operation is about to change the host."""
        self.store.fault.step()

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

    def _replace(self, path: str, make: Callable[[str], None]) -> None:
        self.touch_image(path, whole=self.stat(path).type == "directory")
        beside = images.spare(path)
        self.step()
        with contextlib.suppress(FileNotFoundError):
            os.unlink(beside)
        make(beside)
        if self.stat(path).type == "directory":
            shutil.rmtree(path)
        os.replace(beside, path)

    def _sync(self) -> None:
        """The journal is on the disk before a command runs, even when it named no path."""
        if self._record is not None and not self._taken:
            with self.identity.itself():
                self._record({})


_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_INHERITED = ("http_proxy", "https_proxy", "no_proxy", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "SSL_CERT_FILE", "TZ")
_TYPES = {st.S_IFREG: "file", st.S_IFDIR: "directory", st.S_IFLNK: "link"}


def _move(source: str, target: str) -> None:
    """Moves a path to another file system."""
    if os.path.isdir(source) and not os.path.islink(source):
        copy_tree(source, target)
        copy_owner(source, target)
        shutil.rmtree(source)
        return
    shutil.copy2(source, target, follow_symlinks=False)
    copy_owner(source, target)
    os.unlink(source)


def _inside(path: str, tree: str) -> bool:
    return path == tree or path.startswith(tree.rstrip("/") + "/")


def _chown(fd: int, uid: int, gid: int) -> None:
    have = os.fstat(fd)
    if uid in (-1, have.st_uid) and gid in (-1, have.st_gid):
        return
    os.fchown(fd, uid, gid)


def _umask() -> int:
    with open("/proc/self/status", encoding="ascii", errors="replace") as file:
        for line in file:
            if line.startswith("Umask:"):
                return int(line.split()[1], 8)
    return 0o022


def lines(text: str) -> Iterator[str]:
    """The lines of a text without their ends."""
    yield from text.splitlines()
