"""What a dead agent's commands go on doing: found by a mark in their environment, and ended before anything is undone.

A command outlives the agent that started it when that one is killed outright. It must not write into a tree that is
being put back.
"""

from __future__ import annotations

import contextlib
import os
import signal
import time
from typing import List

NAME = "PERSONAPLEX_PROVISION_STEP"
"The variable that every command of a step has, and what it starts inherits."
_PATIENCE = 10.0
"""Seconds after which a process that does not end is left alone; it hangs in the kernel then."""


def mark(run: str, task: str) -> str:
    """What the variable says in the commands of a task of a run."""
    return f"{run} {task}"


def end(said: str) -> List[str]:
    """Kills every process that has this mark, and waits for it; returns `name (process 12)` of each."""
    told: List[str] = []
    deadline = time.monotonic() + _PATIENCE
    while time.monotonic() < deadline:
        found = _marked(f"{NAME}={said}".encode("utf-8", "surrogateescape"))
        if not found:
            break
        for pid in found:
            name = f"{_name(pid)} (process {pid})"
            with contextlib.suppress(OSError):
                os.kill(pid, signal.SIGKILL)
                told += [name] if name not in told else []
        time.sleep(0.02)
    return told


def _marked(entry: bytes) -> List[int]:
    found = []
    for name in os.listdir("/proc"):
        if not name.isdigit() or int(name) == os.getpid():
            continue
        with contextlib.suppress(OSError), open(f"/proc/{name}/environ", "rb") as file:
            if entry in file.read().split(b"\0"):
                found.append(int(name))
    return found


def _name(pid: int) -> str:
    with contextlib.suppress(OSError), open(f"/proc/{pid}/comm", encoding="utf-8", errors="replace") as file:
        return file.read().strip()
    return "a command"
