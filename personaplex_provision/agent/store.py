"""The state directory on the target: blobs by digest, trees set aside, the runs."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import stat
from typing import IO, TYPE_CHECKING, Any, Iterable, Iterator, List, Optional, Tuple, Union

from personaplex_provision.agent import digests
from personaplex_provision.agent.fault import Fault

if TYPE_CHECKING:
    from personaplex_provision.agent.known import Known

_CHUNK = 1 << 20
_FICLONE = 0x40049409
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC


def default_root() -> str:
    """PROVISION_STATE_DIR, else `/var/lib/provision` for root, `$XDG_STATE_HOME/provision` for a user."""
    if os.environ.get("PROVISION_STATE_DIR"):
        return os.environ["PROVISION_STATE_DIR"]
    if os.geteuid() == 0:
        return "/var/lib/provision"
    state = os.environ.get("XDG_STATE_HOME") or os.path.join(os.path.expanduser("~"), ".local", "state")
    return os.path.join(state, "provision")


class Store:
    """The state directory, mode 0700. Nothing is created before the first write."""

    def __init__(self, root: str, fault: Fault | None = None) -> None:
        self.root = root
        self.fault = fault or Fault()
        self._known: Optional[Known] = None

    def path(self, *parts: str) -> str:
        """A path inside the state directory."""
        return os.path.join(self.root, *parts)

    def directory(self, *parts: str) -> str:
        """A directory inside the state directory, made if missing, mode 0700."""
        found = self.path(*parts)
        if not os.path.isdir(found):
            with _mask(0o077):
                os.makedirs(found, mode=0o700, exist_ok=True)
        return found

    def has(self, sha256: str) -> bool:
        """Whether the content is here."""
        return os.path.exists(self.path("blobs", sha256))

    def open(self, sha256: str) -> IO[bytes]:
        """The content, for reading. Raises FileNotFoundError."""
        return open(self.path("blobs", sha256), "rb")

    def put(self, data: Union[bytes, Iterable[bytes]]) -> Tuple[str, int]:
        """Keeps content; returns its digest and size in bytes. Durable when it returns."""
        chunks = [data] if isinstance(data, bytes) else data
        whole = len(data) if isinstance(data, bytes) else digests.LARGE
        name = os.path.join(self.directory("blobs"), f".new-{os.urandom(8).hex()}")
        self.fault.step()
        digest, size = digests.sha256(size=whole), 0
        with Making(name) as file:
            for chunk in chunks:
                digest.update(chunk)
                size += len(chunk)
                file.write(chunk)
            file.sync()
        os.rename(name, self.path("blobs", digest.hexdigest()))
        return digest.hexdigest(), size

    @property
    def known(self) -> Known:
        """Digests of large files that are known from before."""
        if self._known is None:
            from personaplex_provision.agent.known import Known  # here: most hosts have no such file

            self._known = Known(self.path("known.json"))
        return self._known

    def remember(self) -> None:
        """Keeps what became known. Raises OSError."""
        if self._known is not None:
            self._known.save()

    def half(self, sha256: str) -> int:
        """Bytes that are here of a content that did not arrive whole."""
        with contextlib.suppress(OSError):
            return os.stat(self.path("blobs", f".part-{sha256}")).st_size
        return 0

    def arriving(self, sha256: str) -> IO[bytes]:
        """What is here of a content, to be written on at its end."""
        self.fault.step()
        name = os.path.join(self.directory("blobs"), f".part-{sha256}")
        return open(os.open(name, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600), "ab")

    def arrived(self, sha256: str) -> None:
        """Takes a content in that has arrived whole; one that is not what its name says is thrown away."""
        name, digest = self.path("blobs", f".part-{sha256}"), digests.sha256(size=digests.LARGE)
        with open(name, "rb") as file:
            for chunk in iter(lambda: file.read(_CHUNK), b""):
                digest.update(chunk)
            os.fsync(file.fileno())
        if digest.hexdigest() == sha256:
            os.rename(name, self.path("blobs", sha256))
        else:
            os.unlink(name)

    def keep(self, path: str) -> Tuple[str, int]:
        """Keeps a copy of a file, by reflink where the file system allows; returns digest and size in bytes."""
        with open(path, "rb", buffering=0) as source:
            head = source.read(_CHUNK)
            digest, size = digests.sha256(head), len(head)
            for chunk in iter(lambda: source.read(_CHUNK), b""):
                digest.update(chunk)
                size += len(chunk)
            target = self.path("blobs", digest.hexdigest())
            if os.path.exists(target):
                return digest.hexdigest(), size
            name = os.path.join(self.directory("blobs"), f".new-{os.urandom(8).hex()}")
            self.fault.step()
            with Making(name) as file:
                if size == len(head):
                    file.write(head)
                elif not _reflink(source, file):
                    source.seek(0)
                    shutil.copyfileobj(source, file, _CHUNK)
                file.sync()
        os.rename(name, target)
        return digest.hexdigest(), size

    def beside(self, path: str) -> bool:
        """Whether `path` is, or would come to be, on the file system of the state directory."""
        here, there = self.root, os.path.dirname(path)
        while not os.path.exists(here):
            here = os.path.dirname(here)
        while not os.path.exists(there):
            there = os.path.dirname(there)
        return os.stat(here).st_dev == os.stat(there).st_dev

    def aside(self) -> str:
        """A fresh name under which a whole tree can be kept."""
        return os.path.join(self.directory("trees"), os.urandom(8).hex())

    def runs(self) -> List[str]:
        """Ids of the runs recorded here, oldest first (ids sort by time)."""
        with contextlib.suppress(OSError):
            return sorted(one for one in os.listdir(self.path("runs")) if not one.startswith("."))
        return []


class Making:
    """A new file, mode 0600, that is gone again when it could not be finished; errors name `said`, else the path.

    No file object, which would ask the system more than most files take to be written. With `over` it takes the place
    of what is left there of one that was cut off.
    """

    __slots__ = ("_fd", "_path", "_said")

    def __init__(self, path: str, said: str = "", over: bool = False) -> None:
        self._path, self._said = path, said
        try:
            self._fd = os.open(path, _NEW, 0o600)
        except FileExistsError:
            if not over:
                raise
            os.unlink(path)
            self._fd = os.open(path, _NEW, 0o600)

    def __enter__(self) -> Making:
        return self

    def write(self, data: Any) -> None:
        """Appends all of it."""
        written = os.write(self._fd, data)
        if written < len(data):
            view = memoryview(data)[written:]
            while view:
                view = view[os.write(self._fd, view):]

    def fileno(self) -> int:
        """The file's descriptor."""
        return self._fd

    def sync(self) -> None:
        """What was written is on the disk when this returns."""
        os.fsync(self._fd)

    def __exit__(self, _: object, error: Optional[BaseException], trace: object) -> None:
        os.close(self._fd)
        if isinstance(error, OSError):
            with contextlib.suppress(OSError):
                os.unlink(self._path)
            if error.filename is None:
                error.filename = self._said or self._path



def copy_tree(source: str, target: str, link: bool = False) -> None:
    """Copies a tree with owner, mode, times and extended attributes; files are hard-linked when `link`.

    A hard-linked copy is right only for trees that go away, or whose writers replace files and never write into them
    (pip, git). On another file system each file is copied all the same, by reflink where that is possible.
    """
    shutil.copytree(source, target, symlinks=True, copy_function=_link if link else _copy)
    for top, folders, files in os.walk(source):
        there = os.path.join(target, os.path.relpath(top, source))
        copy_owner(top, there)
        for name in [*files, *(one for one in folders if os.path.islink(os.path.join(top, one)))]:
            copy_owner(os.path.join(top, name), os.path.join(there, name))


def copy_owner(source: str, target: str) -> None:
    """Gives `target` the owner and then the mode of `source` (a chown drops set-id bits)."""
    status = os.lstat(source)
    with contextlib.suppress(PermissionError):
        os.lchown(target, status.st_uid, status.st_gid)
    if not os.path.islink(target):
        os.chmod(target, status.st_mode & 0o7777)


def _copy(source: str, target: str) -> str:
    status = os.lstat(source)
    if not stat.S_ISREG(status.st_mode):  # a pipe or a socket: opening it would wait for who is at its other end
        os.mknod(target, status.st_mode, status.st_rdev)
        shutil.copystat(source, target)
        return target
    with open(source, "rb") as reader, open(target, "wb") as writer:
        if not _reflink(reader, writer):
            shutil.copyfileobj(reader, writer, _CHUNK)
    shutil.copystat(source, target)
    return target


def _link(source: str, target: str) -> str:
    try:
        os.link(source, target)
    except OSError:
        return _copy(source, target)
    return target


def _reflink(source: IO[bytes], target: Union[IO[bytes], Making]) -> bool:
    try:
        fcntl.ioctl(target.fileno(), _FICLONE, source.fileno())
    except OSError:
        return False
    return True


@contextlib.contextmanager
def _mask(mask: int) -> Iterator[None]:
    old = os.umask(mask)
    try:
        yield
    finally:
        os.umask(old)
