"""Who runs what: ids that sort by time, and the person behind a run."""

from __future__ import annotations

import getpass
import os
import socket
from datetime import datetime, timezone


def new_run() -> str:
    """A fresh id: UTC time and four hex digits, so that ids sort as runs do (`20261122T181500-3fa9`)."""
    now = datetime.now(timezone.utc)
    return f"{now:%Y%m%dT%H%M%S}{now.microsecond // 1000:03d}-{os.urandom(2).hex()}"


def who() -> str:
    """`user@machine` of whoever started this."""
    try:
        name = os.environ.get("SUDO_USER") or getpass.getuser()
    except (KeyError, OSError):
        name = str(os.getuid())
    return f"{name}@{socket.gethostname()}"
