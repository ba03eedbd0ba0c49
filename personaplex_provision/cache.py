"""Where the controller keeps what it can make again: engines, what hosts have of them, digests of large files."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


def path(name: str) -> str:
    """`$XDG_CACHE_HOME/provision/NAME`; the directory may not be there yet."""
    base = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    return f"{base}/provision/{name}"


def directory() -> Path:
    """Where all of it is."""
    from pathlib import Path

    return Path(path(""))
