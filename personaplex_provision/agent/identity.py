"""Acting as another user, in one thread.

On Linux the file-system identity belongs to the thread, so a task with `become_user` opens, creates and is refused
files as that user while the thread beside it stays root. Commands get the identity from `subprocess` (user=, group=).
Source: setfsuid(2), setgroups(2) "C library/kernel differences" in credentials(7).
"""

from __future__ import annotations

import os
import pwd
import threading
from typing import TYPE_CHECKING, List, Optional

if TYPE_CHECKING:
    import ctypes

_SETGROUPS = {"x86_64": 116, "aarch64": 159}


class Identity:
    """Who a task runs as; `None` as the entry means whoever the agent is."""

    def __init__(self, name: str = "") -> None:
        self.entry: Optional[pwd.struct_passwd] = pwd.getpwnam(name) if name else None
        if self.entry is not None and self.entry.pw_uid == os.geteuid():
            self.entry = None
        self.foreign = self.entry is not None
        account = self.entry or _own_account()
        self.name = account.pw_name
        self.uid, self.gid, self.home, self.shell = account.pw_uid, account.pw_gid, account.pw_dir, account.pw_shell
        self.groups: List[int] = os.getgrouplist(self.name, self.gid) if self.foreign else []

    @classmethod
    def predicted(cls, name: str, uid: int, gid: int, home: str) -> Identity:
        """A user that an earlier task of a plan will make; nobody can act as it yet: reading is done as the agent."""
        found = cls()
        found.name, found.uid, found.gid, found.home = name, uid, gid, home
        return found

    def acting(self) -> _Switched:
        """File operations of this thread happen as this user."""
        return _Switched(self if self.foreign else None)

    def itself(self) -> _Switched:
        """File operations happen as the agent (its journal and store), whoever this thread acts as."""
        return _Switched(None)


_thread = threading.local()
"Whom each thread acts as: `identity`, missing or None for the agent itself."


class _Switched:
    """While it is entered this thread acts as somebody; no generator, which would cost more than what it holds."""

    __slots__ = ("_before", "_to")

    def __init__(self, to: Optional[Identity]) -> None:
        self._to = to

    def __enter__(self) -> None:
        self._before: Optional[Identity] = getattr(_thread, "identity", None)
        if self._before is not self._to:
            _assume(self._to)

    def __exit__(self, *_: object) -> None:
        if self._before is not self._to:
            _assume(self._before)


def _assume(identity: Optional[Identity]) -> None:
    if identity is None:
        _become(os.geteuid(), os.getegid(), os.getgroups() or [os.getegid()])
    else:
        _become(identity.uid, identity.gid, identity.groups)
    _thread.identity = identity


def _own_account() -> pwd.struct_passwd:
    try:
        return pwd.getpwuid(os.geteuid())
    except KeyError:
        name = os.environ.get("USER", str(os.geteuid()))
        return pwd.struct_passwd((name, "x", os.geteuid(), os.getegid(), "", os.environ.get("HOME", "/"), "/bin/sh"))


def _become(uid: int, gid: int, groups: List[int]) -> None:
    import ctypes  # here: most runs never become anyone else

    libc = ctypes.CDLL(None, use_errno=True)
    number = _SETGROUPS.get(os.uname().machine)
    if number is None:
        raise OSError(f"becoming another user is not supported on {os.uname().machine}")
    if uid != os.geteuid():
        _groups(libc, number, groups)
        libc.setfsgid(gid)
        libc.setfsuid(uid)
        if libc.setfsuid(-1) != uid:
            raise PermissionError(f"cannot act as uid {uid}: the agent does not run as root")
    else:
        libc.setfsuid(uid)
        libc.setfsgid(gid)
        _groups(libc, number, groups)


def _groups(libc: ctypes.CDLL, number: int, groups: List[int]) -> None:
    import ctypes

    array = (ctypes.c_uint32 * len(groups))(*groups)
    if libc.syscall(number, len(groups), array) != 0:
        raise PermissionError("cannot change the groups of a thread: the agent does not run as root")
