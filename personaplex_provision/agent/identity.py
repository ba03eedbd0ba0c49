"""Acting as another user, in one thread.

On Linux the file-system identity belongs to the thread, so a task with `become_user` opens, creates and is refused
files as that user while the thread beside it stays root. Commands get the identity from `subprocess` (user=, group=).
Source: setfsuid(2), setgroups(2) "C library/kernel differences" in credentials(7).
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import platform
import pwd
from typing import Iterator, List, Optional

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

    @contextlib.contextmanager
    def acting(self) -> Iterator[None]:
        """File operations of this thread happen as this user."""
        if not self.foreign:
            yield
            return
        _become(self.uid, self.gid, self.groups)
        try:
            yield
        finally:
            _become(os.geteuid(), os.getegid(), os.getgroups() or [os.getegid()])

    @contextlib.contextmanager
    def itself(self) -> Iterator[None]:
        """Inside `acting`, file operations happen as the agent again (its journal and store)."""
        if not self.foreign:
            yield
            return
        _become(os.geteuid(), os.getegid(), [os.getegid()])
        try:
            yield
        finally:
            _become(self.uid, self.gid, self.groups)


def _own_account() -> pwd.struct_passwd:
    try:
        return pwd.getpwuid(os.geteuid())
    except KeyError:
        name = os.environ.get("USER", str(os.geteuid()))
        return pwd.struct_passwd((name, "x", os.geteuid(), os.getegid(), "", os.environ.get("HOME", "/"), "/bin/sh"))


def _become(uid: int, gid: int, groups: List[int]) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    number = _SETGROUPS.get(platform.machine())
    if number is None:
        raise OSError(f"becoming another user is not supported on {platform.machine()}")
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
    array = (ctypes.c_uint32 * len(groups))(*groups)
    if libc.syscall(number, len(groups), array) != 0:
        raise PermissionError("cannot change the groups of a thread: the agent does not run as root")
