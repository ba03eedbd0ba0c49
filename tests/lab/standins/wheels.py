"""The few wheels that cannot be made, because a virtual environment has to work with them: fetched once, then kept."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

from ..commands import run
from ..places import cache, locked

PINNED = ("pip==25.0.1", "setuptools==75.8.0", "wheel==0.45.1")


def wheels() -> list[Path]:
    """The pinned wheels, by name."""
    name = "-".join(pin.replace("==", "-") for pin in PINNED)
    with locked("wheels"):
        done = cache() / name
        if not done.exists():
            making = done.with_suffix(".making")
            shutil.rmtree(making, ignore_errors=True)
            download = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary", ":all:"]
            run([*download, "--dest", str(making), *PINNED])
            os.rename(making, done)
    return sorted(done.glob("*.whl"))
