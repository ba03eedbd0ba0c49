"""The machine as a task sees it, and the only way by which a kind touches it.

Because everything passes here, reads that tasks share are done once, every write is atomic and journaled with what was
there before, and a test can make the N-th operation fail. Reading methods work the same on the planning host
(`overlay.py`), which knows what earlier tasks will have done.
"""


from __future__ import annotations

import contextlib
import errno
import os
import shutil
from typing import Any, Callable, Dict, Iterable, List, Sequence, Union

from personaplex_provision.agent import image as images
from personaplex_provision.agent.image import Image
from personaplex_provision.agent.machine import Completed
from personaplex_provision.agent.reading import Reading
from personaplex_provision.agent.resource import ResourceError
from personaplex_provision.agent.store import Making, copy_owner, copy_tree
from personaplex_provision.agent.values import Blob

Data = Union[bytes, Blob]


class Host(Reading):
    """The host as one task sees it: what it can read, and every way in which it can change something."""

    ran = False
    "Whether a command was run that may have changed anything."

    # what will be there, for the planning host

    def declared(self, what: str, name: str) -> Any:
        """What an earlier task declared about `(what, name)`, or None; always None on the real host."""
        return None

    def declare(self, what: str, name: str, value: Any = True) -> None:
        """Says what this task will have made true; only heard on the planning host."""

    def opaque(self, path: str, why: str = "") -> None:
        """Says that a tree will be there whose inside is not known; only heard on the planning host."""

    def need(self, path: str, size: int | None, image: bool = False) -> None:
        """Says that `size` bytes will come to be at `path` (`image`: for the way back; None: nobody knows how many).

        Only heard while planning.
        """

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
        with Making(beside, path, over=True) as file:
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
            file.sync()
        self.step()
        os.replace(beside, path)

    def adopt(
        self, source: str, path: str, mode: int | None = None, uid: int | None = None, gid: int | None = None,
    ) -> None:
        """Makes a finished file of the state directory the file at `path`, as `write` would.

        On one file system it is renamed and not copied; where another user acts, or a label of SELinux's would come
        along with it, it is copied.
        """
        before = self.stat(path)
        moves = self.store.beside(path) and not self.identity.foreign and not os.path.exists("/sys/fs/selinux/enforce")
        if not moves or before.type not in ("absent", "file"):
            with self.identity.itself():
                file = open(source, "rb")  # noqa: SIM115 (opened as the agent, used as the task)
            with file:
                self.write(path, iter(lambda: file.read(1 << 20), b""), mode, uid, gid)
            return
        self.touch_image(path)
        keep = (self.identity.uid, self.identity.gid, 0o666 & ~_umask())
        if before.exists:
            keep = (before.uid, before.gid, before.mode)
        beside = images.spare(path)
        self.step()
        with open(source, "rb") as file:
            _chown(file.fileno(), keep[0] if uid is None else uid, keep[1] if gid is None else gid)
            os.fchmod(file.fileno(), keep[2] if mode is None else mode)
            os.fsync(file.fileno())
        os.rename(source, beside)
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
        self.touch_image(path, content=False)
        self.step()
        os.chmod(path, mode)

    def chown(self, path: str, uid: int = -1, gid: int = -1) -> None:
        """Sets owner and group (-1 leaves one as it is), of a link itself and not of its target."""
        self.touch_image(path, content=False)
        self.step()
        mode = self.stat(path)
        os.lchown(path, uid, gid)
        if mode.type != "link" and mode.mode & 0o6000:
            os.chmod(path, mode.mode)

    def utime(self, path: str, seconds: float | None = None) -> None:
        """Sets access and modification time; now when left out."""
        self.touch_image(path, content=False)
        self.step()
        os.utime(path, None if seconds is None else (seconds, seconds))

    def remove(self, path: str) -> None:
        """Removes a file, a link, or a directory with all it holds."""
        if self.stat(path).type == "directory":
            self.touch_image(path, whole=True, link=True)  # nothing can be written into what is gone in a moment
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
        self.touch_image(target, whole=whole, link=True)
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
        taken = [self._image_of(path) for path in touches]
        taken += [self._image_of(path, whole=True, link=link) for path in trees]
        self._journal([one for one in taken if one])
        self.ran = True
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
        self._seen = None
        self.machine.forget()

    def converged(self) -> None:
        """Tells that the step has done what it does: as `changed`, and from here on it only looks.

        Who is known stays so after a step that wrote files and ran nothing: of those that tell it each was noticed.
        """
        self.machine.forget("/etc" if self.ran or not self._taken else "")
        self.looking()

    def touch_image(self, path: str, whole: bool = False, link: bool = False, content: bool = True) -> None:
        """Journals the image of a path before it is changed, once a task; a whole tree covers what is inside.

        Without `content` a file is about to get another mode, owner or time only, and what it holds is not copied.
        """
        image = self._image_of(path, whole, link, content)
        if image:
            self._journal([image])

    def _image_of(self, path: str, whole: bool = False, link: bool = False, content: bool = True) -> Image:
        """The image of a path, to be journaled before it is changed; nothing where that has been done."""
        self._seen = None
        self.machine.forget(path)
        if self._record is None or any(
            image["whole"] and _inside(path, image["path"]) for image in self._taken.values()
        ):
            return {}
        taken = self._taken.get(path)
        if taken is not None and not whole:
            if content and taken["type"] == "file" and not self.store.has(taken["sha256"]):
                with self.identity.itself():
                    self.store.keep(path)
            return {}
        with self.identity.itself():
            image = images.capture(path, self.store, whole=whole, link=link, content=content)
            # A path whose own image is there already and that is now taken whole has two; the older one goes back last.
            self._taken[path if path not in self._taken else f"{path}\0whole"] = image
        return image

    def take_back(self) -> None:
        """Nothing more is kept of what is there: what is changed from now on is put back, and is not to come again."""
        self._record = None

    def images(self) -> List[Image]:
        """The images taken so far, in order."""
        return list(self._taken.values())

    # inner parts

    def step(self) -> None:
        """One operation is about to change the host."""
        self._seen = None
        self.store.fault.step()

    def _replace(self, path: str, make: Callable[[str], None]) -> None:
        self.touch_image(path, whole=self.stat(path).type == "directory", link=True)
        beside = images.spare(path)
        self.step()
        with contextlib.suppress(FileNotFoundError):
            os.unlink(beside)
        make(beside)
        if self.stat(path).type == "directory":
            shutil.rmtree(path)
        os.replace(beside, path)

    def _journal(self, taken: List[Image]) -> None:
        """The images are on the disk before anything is changed; the journal is, even when there are none."""
        if self._record is not None and (taken or not self._taken):
            with self.identity.itself():
                self._record(taken)


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
