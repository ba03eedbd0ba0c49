"""One run a host at a time: a lock whose holder is known, and which the kernel frees when the holder dies.

The kernel's lock on the file `lock` is the truth; what is written in the file only says whose it is. The file's time
is the holder's heartbeat. A holder that ends well marks the file free, so that the next one knows whether it takes
over from a run that did not.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import threading
import time
from typing import Any, Callable, Dict, Optional

from personaplex_provision.agent.store import Store

Holder = Dict[str, Any]
"""Of whom the lock speaks: `run who host pid start since purpose …`, and when read also `alive` (whether that process
still exists) and `quiet` (seconds since its last heartbeat)."""

BEAT = 5.0
"Seconds between two heartbeats."
_PACE = 0.2
_SETTLING = 1.0
"Seconds for which a lock is asked for again that is held by nobody we know: by one who only looks, or has just come."


class Lease:
    """The exclusive right to change the host. `take` gives None, or who holds it."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.previous: Optional[Holder] = None
        "The holder from whom `take` took over, if that one ended without giving the host back."
        self._fd: Optional[int] = None
        self._mine: Holder = {}
        self._freed = threading.Event()

    def take(
        self, who: Dict[str, Any], patience: float = 0.0, waiting: Callable[[Holder], None] = lambda _: None,
        stop: Optional[threading.Event] = None,
    ) -> Optional[Holder]:
        """Takes the lease within `patience` seconds; returns the holder when another run keeps it.

        `waiting` is told once for whom we wait; `stop` ends the waiting.
        """
        self.store.directory()
        fd = os.open(self.store.path("lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        began, told = time.monotonic(), False
        stop = stop or threading.Event()
        while not _locked(fd):
            holder = self.holder()
            known = holder is not None and not holder.get("free") and holder["alive"]
            waited = time.monotonic() - began
            if stop.is_set() or waited >= (patience if known else max(patience, _SETTLING)):
                os.close(fd)
                return holder or {"who": "unknown"}
            if known and holder is not None and not told:
                told = True
                waiting(holder)
            stop.wait(_PACE)
        before = self.holder()
        self.previous = before if before is not None and not before.get("free") else None
        self._fd, self._freed = fd, threading.Event()
        self._mine = {**who, "host": str(who.get("who", "")).rpartition("@")[2], "pid": os.getpid(),
                      "start": started(os.getpid()), "since": round(time.time())}
        self._write(self._mine)
        threading.Thread(target=self._beat, args=(self._freed,), daemon=True).start()
        return None

    def holder(self) -> Optional[Holder]:
        """Who wrote the lock last; `free` when that one gave it back."""
        try:
            with open(self.store.path("lock"), encoding="utf-8") as file:
                found = json.loads(file.readline())
                beat = os.fstat(file.fileno()).st_mtime
        except (OSError, ValueError):
            return None
        if not isinstance(found, dict):
            return None
        return {**found, "alive": alive(found), "quiet": round(max(time.time() - beat, 0.0), 1)}

    def held(self) -> bool:
        """Whether anyone holds the lease now."""
        try:
            fd = os.open(self.store.path("lock"), os.O_RDWR | os.O_CLOEXEC)
        except FileNotFoundError:
            return False
        try:
            return not _locked(fd)
        finally:
            os.close(fd)

    def free(self, settled: bool = True) -> None:
        """Gives the right back; while what a dead holder left is not `settled`, the next one takes over, too."""
        if self._fd is not None:
            self._freed.set()
            after = self.previous if self.previous is not None and not settled else {**self._mine, "free": True}
            with contextlib.suppress(OSError):  # a full disk: the next holder only thinks that we ended badly
                self._write(after)
            fd, self._fd = self._fd, None
            os.close(fd)

    def _write(self, holder: Holder) -> None:
        """One write, so that who reads meanwhile sees the old line or the new one."""
        assert self._fd is not None
        line = json.dumps(holder).encode() + b"\n"
        os.pwrite(self._fd, line, 0)
        os.ftruncate(self._fd, len(line))

    def _beat(self, freed: threading.Event) -> None:
        while not freed.wait(BEAT):
            with contextlib.suppress(OSError):
                os.utime(self.store.path("lock"))


def alive(holder: Holder) -> bool:
    """Whether the very process that took the lease still exists: a number that was given out again is another's."""
    start = started(int(holder.get("pid") or 0))
    return start != "" and start == holder.get("start")


def started(pid: int) -> str:
    """When a process began, by this boot of the kernel; empty when there is none."""
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:
            fields = file.read().rpartition(")")[2].split()
        with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
            boot = file.read().strip()
    except (OSError, ValueError):
        return ""
    return "" if fields[0] in "ZX" else f"{boot[:8]}-{fields[19]}"


def _locked(fd: int) -> bool:
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
