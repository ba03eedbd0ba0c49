"""The planning host: the real one, overlaid with what earlier tasks declare.

Nothing here touches the machine. File operations happen in memory; commands that would change something, and
questions whose answer an earlier task changes, raise Unpredictable with the reason the plan prints beside `?`.
"""

from __future__ import annotations

import os
import stat as st
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Callable, Dict, Iterable, List, Optional, Sequence, Set, Tuple, Union

from personaplex_provision.agent.host import Data, Host
from personaplex_provision.agent.machine import Completed, Entry, Group, User
from personaplex_provision.agent.packages import Package, Packages
from personaplex_provision.agent.resource import Unpredictable
from personaplex_provision.agent.values import Blob

if TYPE_CHECKING:
    from personaplex_provision.agent.space import Space

_NEW_ID = 4_000_000_000
"""Stands for the uid or gid the system will choose; larger than any real one."""
_UNKNOWN = Blob("", 0)
"""Stands for content that is known only once it is there (a download); compared by identity."""


class Prediction:
    """What the tasks of a plan declare, shared by the planning hosts of all its tasks."""

    def __init__(self) -> None:
        self.entries: Dict[str, Entry] = {}
        self.links: Set[str] = set()
        "Where an entry is a link: without any, each path is where it says."
        self.contents: Dict[str, Union[bytes, Blob]] = {}
        self.makers: Dict[str, str] = {}
        self.sealed: Dict[str, str] = {}
        self.declared: Dict[Tuple[str, str], Any] = {}
        self._space: Optional[Space] = None

    @property
    def space(self) -> Space:
        """The room that the tasks so far take."""
        if self._space is None:
            from personaplex_provision.agent.space import Space  # here: a plan without a change has no use for it

            self._space = Space()
        return self._space

    def room(self) -> List[Dict[str, Any]]:
        """What the tasks take of each file system and what is free there, as `Space.report` has it."""
        return self._space.report() if self._space is not None else []

    @property
    def untouched(self) -> bool:
        """Whether no task has spoken of any file: then the real ones tell everything."""
        return not (self.entries or self.sealed)

    def __bool__(self) -> bool:
        return bool(self.entries or self.declared or self.sealed)


class PlanningHost(Host):
    """A Host whose changes only happen in a Prediction. `task` is the name of the task at work."""

    planning = True

    def __init__(self, real: Host, prediction: Prediction, task: str) -> None:
        super().__init__(real.machine, real.store, real.identity, real.environment, real._secrets)
        self.prediction = prediction
        self.task = task

    # reading

    def _sealed(self, path: str) -> Optional[str]:
        if not self.prediction.sealed:
            return None
        at = path.rstrip("/")
        while True:
            if at in self.prediction.sealed:
                return self.prediction.sealed[at]
            if at in self.prediction.entries and at != path.rstrip("/"):
                return None
            up = os.path.dirname(at)
            if up == at:
                return None
            at = up

    def _overlaid(self, path: str) -> Optional[Entry]:
        """What is predicted at `path`, None when no task spoke of it. Raises Unpredictable."""
        path = path.rstrip("/") or "/"
        if path in self.prediction.entries:
            return self.prediction.entries[path]
        for at in _parents(path):
            entry = self.prediction.entries.get(at)
            if entry is not None and entry.type != "directory":
                if entry.type == "link":
                    return None
                return Entry("absent")
            if at in self.prediction.sealed:
                raise Unpredictable(self.prediction.sealed[at])
            if entry is not None and not self._real_directory(at):
                return Entry("absent")
        return None

    def _real_directory(self, path: str) -> bool:
        known = self.machine.directories if not self.identity.foreign else {}
        if path not in known:
            try:
                known[path] = st.S_ISDIR(os.lstat(path).st_mode)
            except (FileNotFoundError, NotADirectoryError, PermissionError):
                known[path] = False
        return known[path]

    def stat(self, path: str, follow: bool = False) -> Entry:
        if self.prediction.untouched:
            return super().stat(path, follow)
        real = self._walk(path)
        found = self._overlaid(real)
        if found is None:
            found = super().stat(real, follow=False)
        if follow and found.type == "link":
            return self.stat(os.path.join(os.path.dirname(path), found.target), follow=True)
        return found

    def _walk(self, path: str) -> str:
        """The path with predicted links among its parents followed."""
        for at in _parents(path.rstrip("/")) if self.prediction.links else ():
            entry = self.prediction.entries.get(at)
            if entry is not None and entry.type == "link":
                target = os.path.normpath(os.path.join(os.path.dirname(at), entry.target))
                return self._walk(target + path[len(at) :])
        return path

    def realpath(self, path: str) -> str:
        seen, path = 0, self._walk(path)
        entry = self.stat(path)
        while entry.type == "link" and seen < 20:
            path = self._walk(os.path.normpath(os.path.join(os.path.dirname(path), entry.target)))
            entry = self.stat(path)
            seen += 1
        return path if path in self.prediction.entries else os.path.realpath(path)

    def read(self, path: str) -> bytes:
        if self.prediction.untouched:
            return super().read(path)
        path = self._walk(path)
        entry = self.stat(path, follow=True)
        if entry.type == "absent":
            raise FileNotFoundError(2, "no such file", path)
        if entry.type == "directory":
            raise IsADirectoryError(21, "is a directory", path)
        key = self.realpath(path)
        content = self.prediction.contents.get(key)
        if content is _UNKNOWN:
            maker = self.prediction.makers.get(key, "an earlier task")
            raise Unpredictable(f"what {path} holds is known after {maker}")
        if content is None:
            if key in self.prediction.entries and key in self.prediction.makers and not os.path.isfile(key):
                raise Unpredictable(f"what {path} holds is known after {self.prediction.makers[key]}")
            return super().read(key)
        return content if isinstance(content, bytes) else self.blob(content)

    def list(self, path: str) -> List[str]:
        if self.prediction.untouched:
            return super().list(path)
        path = self._walk(path).rstrip("/") or "/"
        entry = self.stat(path, follow=True)
        if entry.type == "absent":
            raise FileNotFoundError(2, "no such directory", path)
        why = self._sealed(path)
        if why:
            raise Unpredictable(why)
        names = set(super().list(path)) if self._real_directory(path) else set()
        inside = path.rstrip("/") + "/"
        for one, found in self.prediction.entries.items():
            if one.startswith(inside) and "/" not in one[len(inside):]:
                (names.add if found.exists else names.discard)(one[len(inside):])
        return sorted(names)

    def digest(self, path: str) -> Blob:
        if self.prediction.untouched:
            return super().digest(path)
        key = self.realpath(path)
        content = self.prediction.contents.get(key)
        if isinstance(content, Blob) and content is not _UNKNOWN:
            return content
        if isinstance(content, bytes):
            return Blob.of(content)
        if content is _UNKNOWN or (key in self.prediction.entries and not os.path.isfile(key)):
            maker = self.prediction.makers.get(key, "an earlier task")
            raise Unpredictable(f"what {path} holds is known after {maker}")
        return super().digest(key)

    def user(self, name: str) -> Optional[User]:
        found = self.declared("user", name)
        if found is None:
            return super().user(name)
        return found if isinstance(found, User) else None

    def group(self, name: str) -> Optional[Group]:
        found = self.declared("group", name)
        if found is None:
            return super().group(name)
        return found if isinstance(found, Group) else None

    def owner_name(self, uid: int) -> str:
        return self._name_of("user", uid) or super().owner_name(uid)

    def group_name(self, gid: int) -> str:
        return self._name_of("group", gid) or super().group_name(gid)

    def _name_of(self, what: str, number: int) -> str:
        for (kind, name), value in self.prediction.declared.items():
            if kind == what and value and number == (value.uid if what == "user" else value.gid):
                return name
        return ""

    def packages(self) -> Packages:
        changes = {
            name: value or None for (kind, name), value in self.prediction.declared.items()
            if kind == "package" and (value is False or isinstance(value, Package))
        }
        return super().packages().changed(changes) if changes else super().packages()

    def which(self, program: str) -> Optional[str]:
        if os.path.isabs(program):
            return program if self.stat(program, follow=True).exists else None
        return super().which(program)

    def query(
        self, argv: Sequence[str], reads: Iterable[str] = (), env: Dict[str, str] | None = None,
        stdin: str = "", chdir: str = "", timeout: float = 60.0, shortcut: Callable[[], Optional[str]] | None = None,
    ) -> Completed:
        for path in [*reads, *([chdir] if chdir else []), *([argv[0]] if os.path.isabs(argv[0]) else [])]:
            why = self._moved(path)
            if why:
                raise Unpredictable(why)
        if super().which(argv[0]) is None:
            pending = [name for (kind, name), value in self.prediction.declared.items() if kind == "package" and value]
            if pending:
                raise Unpredictable(f"{os.path.basename(argv[0])} is not there before packages are installed")
        return super().query(argv, reads, env, stdin, chdir, timeout, shortcut)

    def _moved(self, path: str) -> str:
        """Why an answer that depends on `path` would be wrong now, or nothing."""
        path = path.rstrip("/")
        why = self._sealed(path)
        if why:
            return why
        for one in self.prediction.entries:
            if one == path or one.startswith(path + "/"):
                return f"{path} is changed by {self.prediction.makers.get(one, 'an earlier task')}"
        return ""

    def declared(self, what: str, name: str) -> Any:
        return self.prediction.declared.get((what, name))

    # declaring

    def declare(self, what: str, name: str, value: Any = True) -> None:
        self.prediction.declared[what, name] = value

    def opaque(self, path: str, why: str = "") -> None:
        path = path.rstrip("/")
        self.prediction.space.unknown(path)
        self.prediction.sealed[path] = why or f"what {path} holds is known after {self.task}"
        self._set(path, Entry("directory", 0o755, self.identity.uid, self.identity.gid), None)

    def need(self, path: str, size: int | None, image: bool = False) -> None:
        if size is None:
            self.prediction.space.unknown(path)
        elif image:
            self.prediction.space.image(path, size)
        else:
            self.prediction.space.write(path, size)

    # writing, in memory

    def write(
        self, path: str, data: Data | Iterable[bytes], mode: int | None = None,
        uid: int | None = None, gid: int | None = None,
    ) -> None:
        self._need_parent(path)
        now = self.stat(path)
        fresh = now.type != "file"
        entry = Entry(
            "file", mode if mode is not None else (0o644 if fresh else now.mode),
            uid if uid is not None else (self.identity.uid if fresh else now.uid),
            gid if gid is not None else (self.identity.gid if fresh else now.gid),
            data.size if isinstance(data, Blob) else len(data) if isinstance(data, bytes) else 0,
        )
        frees = self._keep(path)
        if isinstance(data, Blob) and data.sha256 not in self._secrets and not self.store.has(data.sha256):
            self.need(self.store.root, data.size)  # it comes from the controller by way of the state directory
        self.prediction.space.write(path, entry.size, frees)
        self._set(path, entry, data if isinstance(data, (bytes, Blob)) else _UNKNOWN)

    def mkdir(self, path: str, mode: int | None = None) -> None:
        at = path.rstrip("/")
        while at and not self.stat(at, follow=True).exists:
            self._set(at, Entry("directory", 0o755, self.identity.uid, self.identity.gid), None)
            at = os.path.dirname(at)
        if mode is not None:
            self.chmod(path, mode)

    def symlink(self, target: str, path: str) -> None:
        self._need_parent(path)
        self._keep(path)
        self._set(path, Entry("link", 0o777, self.identity.uid, self.identity.gid, target=target), None)

    def link(self, target: str, path: str) -> None:
        self._need_parent(path)
        self._set(path, self.stat(target), self.prediction.contents.get(target))

    def chmod(self, path: str, mode: int) -> None:
        self._set(path, self._there(path)._replace(mode=mode), self.prediction.contents.get(path))

    def chown(self, path: str, uid: int = -1, gid: int = -1) -> None:
        now = self._there(path)
        entry = now._replace(uid=now.uid if uid == -1 else uid, gid=now.gid if gid == -1 else gid)
        self._set(path, entry, self.prediction.contents.get(path))

    def utime(self, path: str, seconds: float | None = None) -> None:
        now = self._there(path)
        self._set(path, now._replace(mtime=int((seconds or 0) * 1e9)), self.prediction.contents.get(path))

    def remove(self, path: str) -> None:
        path = path.rstrip("/")
        frees = self._keep(path, whole=True, link=True)
        if frees:
            self.prediction.space.write(path, 0, frees)
        for one in [one for one in self.prediction.entries if one.startswith(path + "/")]:
            del self.prediction.entries[one]
            self.prediction.links.discard(one)
            self.prediction.contents.pop(one, None)
        self.prediction.sealed.pop(path, None)
        self._set(path, Entry("absent"), None)

    def rename(self, source: str, target: str, whole: bool = True) -> None:
        entry, content = self._there(source), self.prediction.contents.get(source)
        self.remove(source)
        self._set(target, entry, content)

    def run(
        self, argv: Sequence[str], touches: Iterable[str] = (), trees: Iterable[str] = (),
        env: Dict[str, str] | None = None, stdin: str = "", chdir: str = "", timeout: float = 0.0, check: bool = True,
        on_line: Callable[[str], None] | None = None, link: bool = False,
    ) -> Completed:
        raise Unpredictable(f"it runs {os.path.basename(argv[0])}")

    def touch_image(self, path: str, whole: bool = False, link: bool = False, content: bool = True) -> None:
        """Nothing is touched; the room that the image will take is noted."""
        if content:
            self._keep(path, whole, link)

    def new_id(self) -> int:
        """A number that stands for the uid or gid the system will choose."""
        return _NEW_ID + len(self.prediction.declared)

    def _keep(self, path: str, whole: bool = False, link: bool = False) -> int:
        return self.prediction.space.keep(self.store.root, self._walk(path), whole, link)

    def _there(self, path: str) -> Entry:
        found = self.stat(path)
        if not found.exists:
            raise FileNotFoundError(2, "no such file or directory", path)
        return found

    def _need_parent(self, path: str) -> None:
        if not self.stat(os.path.dirname(path.rstrip("/")) or "/", follow=True).exists:
            raise FileNotFoundError(2, "no such directory", os.path.dirname(path))

    def _set(self, path: str, entry: Entry, content: Union[bytes, Blob, None]) -> None:
        path = self._walk(path).rstrip("/")
        self.prediction.entries[path] = entry
        (self.prediction.links.add if entry.type == "link" else self.prediction.links.discard)(path)
        self.prediction.makers[path] = self.task
        if content is None:
            if entry.type != "file" or path not in self.prediction.contents:
                self.prediction.contents.pop(path, None)
        else:
            self.prediction.contents[path] = content


@lru_cache(maxsize=4096)
def _parents(path: str) -> Tuple[str, ...]:
    """The directories above a path, the nearest first, without the root."""
    up = os.path.dirname(path)
    return (up, *_parents(up)) if up and up != os.path.dirname(up) else ()
