"""How long a host took for what."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator


class Phases(dict[str, float]):
    """Seconds by phase: connect, bootstrap, facts, compile, observe, converge."""

    @contextlib.contextmanager
    def spending(self, phase: str) -> Iterator[None]:
        """Adds the time inside to a phase."""
        began = time.monotonic()
        try:
            yield
        finally:
            self[phase] = self.get(phase, 0.0) + time.monotonic() - began
