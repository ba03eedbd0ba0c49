"""The seam through which a test makes the N-th journal or file-system operation the last one."""

from __future__ import annotations

import os
import signal
import threading


class Fault:
    """Counts operations; at number `at` the process kills itself with SIGKILL. `at` 0 never does."""

    def __init__(self, at: int = 0) -> None:
        self.at = at
        self.count = 0
        self._lock = threading.Lock()

    def step(self) -> None:
        """One operation is about to happen."""
        if not self.at:
            return
        with self._lock:
            self.count += 1
            if self.count == self.at:
                os.kill(os.getpid(), signal.SIGKILL)
