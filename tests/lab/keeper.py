"""Takes the lab down when the lab goes, however it goes.

A keeper is a process of its own. It may start a program, and then waits at its standard input. When that closes - the
lab was closed, or was killed - it kills the program, and everything in the program's control groups, and runs the
commands that take down what was set up. This file is also that process.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any


class Keeper:
    """The lab's end of a keeper process."""

    def __init__(
        self,
        *,
        down: Sequence[Sequence[str]],
        program: Sequence[str] = (),
        console: Path | None = None,
        groups: Sequence[Path] = (),
    ) -> None:
        order = {
            "program": list(program),
            "console": str(console or os.devnull),
            "groups": [str(group) for group in groups],
            "down": [list(argv) for argv in down],
        }
        self._process = subprocess.Popen(
            [sys.executable, "-I", __file__, json.dumps(order)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,
        )
        assert self._process.stdout is not None
        self.pid = int(self._process.stdout.readline() or 0)
        "The process id of the program, 0 without one."

    def close(self) -> None:
        """Take everything down, and wait until it is."""
        self._process.communicate()


def main(order: dict[str, Any]) -> None:
    """The keeper process."""
    groups = [Path(group) for group in order["groups"]]
    for group in groups:
        group.mkdir(exist_ok=True)
    child = _start(order["program"], order["console"], groups) if order["program"] else None
    print(child.pid if child else 0, flush=True)
    with contextlib.suppress(OSError):
        sys.stdin.buffer.read()
    if child:
        child.kill()
        child.wait()
    for group in groups:
        _empty(group)
    for argv in order["down"]:
        subprocess.run(argv, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def _start(argv: list[str], console: str, groups: list[Path]) -> subprocess.Popen[bytes]:
    """Start `argv` in the control groups: a shell enters them and becomes the program."""
    enter = "".join(f"echo $$ > '{group}/cgroup.procs' && " for group in groups)
    with open(console, "ab") as log:
        return subprocess.Popen(
            ["/bin/sh", "-c", enter + 'exec "$@"', "sh", *argv],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )


def _empty(group: Path) -> None:
    """Kill what is left in a control group, and remove it."""
    with contextlib.suppress(OSError):
        (group / "cgroup.kill").write_text("1")
    for _ in range(100):
        for path in [*sorted(group.rglob("*"), reverse=True), group]:
            with contextlib.suppress(OSError):
                path.rmdir()
        if not group.exists():
            return
        time.sleep(0.02)


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
