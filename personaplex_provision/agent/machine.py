"""What the tasks of a host share: who is known, which packages are installed, what was already asked."""

from __future__ import annotations

import grp
import pwd
import threading
from typing import TYPE_CHECKING, Any, Callable, Dict, Optional, Tuple

from personaplex_provision.agent import packages
from personaplex_provision.agent.packages import Packages
from personaplex_provision.agent.row import NamedTuple

if TYPE_CHECKING:
    from personaplex_provision.agent.manager import Manager


class User(NamedTuple):
    """A row of passwd."""

    name: str
    uid: int
    gid: int
    comment: str
    home: str
    shell: str


class Group(NamedTuple):
    """A row of group."""

    name: str
    gid: int
    members: Tuple[str, ...]


class Completed(NamedTuple):
    """What a command answered; texts are UTF-8 with replacement."""

    argv: Tuple[str, ...]
    rc: int
    stdout: str
    stderr: str


class Entry(NamedTuple):
    """What is at a path. `type` is `absent file directory link other`; `mtime` in nanoseconds."""

    type: str
    mode: int = 0
    uid: int = 0
    gid: int = 0
    size: int = 0
    mtime: int = 0
    target: str = ""
    inode: int = 0
    device: int = 0
    nlink: int = 1

    @property
    def exists(self) -> bool:
        return self.type != "absent"


class Machine:
    """Facts read once and shared by all tasks until one of them changes something."""

    def __init__(self) -> None:
        self._memo: Dict[Any, Any] = {}
        self._accounts: Dict[Any, Any] = {}
        self._lock = threading.Lock()
        self._manager: Optional[Manager] = None
        self.directories: Dict[str, bool] = {}
        "Whether there is a directory at a path, as whoever the agent is sees it; asked again once something changed."

    def remember(self, key: Any, ask: Callable[[], Any]) -> Any:
        """The answer to `key`, asked once until `forget`."""
        return self._once(self._memo, key, ask)

    def _once(self, memo: Dict[Any, Any], key: Any, ask: Callable[[], Any]) -> Any:
        with self._lock:
            if key in memo:
                return memo[key]
        found = ask()
        if found is None:  # who is not there may come any time
            return None
        with self._lock:
            return memo.setdefault(key, found)

    def forget(self, path: str = "/etc") -> None:
        """Something was changed: everything is asked anew; who is known only where it was no other `path` alone."""
        with self._lock:
            self._memo.clear()
            if path.startswith(_SYSTEM) or path.rpartition("/")[2] in _TABLES:
                self._accounts.clear()
        self.directories = {}
        self.rest()

    def rest(self) -> None:
        """Nothing is asked for a while: nobody is kept waiting for it."""
        if self._manager is not None:
            self._manager.rest()

    def user(self, name: str) -> Optional[User]:
        """The user of that name, from every source the host knows (nsswitch)."""
        found: Optional[User] = self._once(self._accounts, ("user", name), lambda: _user(name))
        return found

    def group(self, name: str) -> Optional[Group]:
        """The group of that name."""
        found: Optional[Group] = self._once(self._accounts, ("group", name), lambda: _group(name))
        return found

    def owner_name(self, uid: int) -> str:
        """The name of a uid, or its number as text."""
        return str(self._once(self._accounts, ("uid", uid), lambda: _name(pwd.getpwuid, uid)))

    def group_name(self, gid: int) -> str:
        """The name of a gid, or its number as text."""
        return str(self._once(self._accounts, ("gid", gid), lambda: _name(grp.getgrgid, gid)))

    @property
    def manager(self) -> Manager:
        """systemd's, for questions."""
        if self._manager is None:
            from personaplex_provision.agent.manager import Manager  # here: few tasks are about units

            self._manager = Manager()
        return self._manager

    def packages(self) -> Packages:
        """dpkg's packages. Empty where there is no dpkg."""
        found: Packages = self.remember("packages", packages.read)
        return found


_SYSTEM = ("/etc", "/lib", "/run", "/usr", "/var")
"Where those who answer for accounts (nsswitch) keep what they know."
_TABLES = ("passwd", "group", "nsswitch.conf")
"Names of these, wherever a link may have led to them."


def _name(ask: Callable[[int], Any], number: int) -> str:
    try:
        return str(ask(number)[0])
    except KeyError:
        return str(number)


def _user(name: str) -> Optional[User]:
    try:
        found = pwd.getpwnam(name)
    except KeyError:
        return None
    return User(found.pw_name, found.pw_uid, found.pw_gid, found.pw_gecos, found.pw_dir, found.pw_shell)


def _group(name: str) -> Optional[Group]:
    try:
        found = grp.getgrnam(name)
    except KeyError:
        return None
    return Group(found.gr_name, found.gr_gid, tuple(found.gr_mem))
