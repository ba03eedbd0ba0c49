"""One run a host at a time: a lock whose holder is known, and which the kernel frees when the holder dies."""

from __future__ import annotations

import fcntl
import json
import os
import time
from typing import Any, Dict, Optional

from personaplex_provision.agent.store import Store


class Lease:
    """The exclusive right to change the host. `take` gives None, or who holds it."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self._fd: Optional[int] = None

    def take(self, who: Dict[str, Any], patience: float = 0.0) -> Optional[Dict[str, Any]]:
        """Takes the lease within `patience` seconds; returns the holder when another run keeps it."""
        self.store.directory()
        fd = os.open(self.store.path("lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        deadline = time.monotonic() + patience
        while True:
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() >= deadline:
                    os.close(fd)
                    return self.holder() or {"who": "unknown"}
                time.sleep(0.2)
        os.ftruncate(fd, 0)
        os.pwrite(fd, json.dumps({**who, "pid": os.getpid(), "since": round(time.time())}).encode(), 0)
        self._fd = fd
        return None

    def holder(self) -> Optional[Dict[str, Any]]:
        """Who wrote the lock last."""
        try:
            with open(self.store.path("lock"), encoding="utf-8") as file:
                found = json.load(file)
        except (OSError, ValueError):
            return None
        return found if isinstance(found, dict) else None

    def free(self) -> None:
        """Gives the right back."""
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None
