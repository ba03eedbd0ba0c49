"""Where the controller keeps what it can make again: engines, what hosts have of them, digests of large files."""

from __future__ import annotations

import os
from pathlib import Path


def directory() -> Path:
    """`$XDG_CACHE_HOME/provision`; it may not be there yet."""
    base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(base) / "provision"
