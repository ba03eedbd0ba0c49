"""Run a program and keep what it said, so that a failure in the lab explains itself."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path


class CommandFailed(RuntimeError):
    """A program ended with another status than 0; the message carries its output."""

    def __init__(self, argv: Sequence[str], result: subprocess.CompletedProcess[str]) -> None:
        self.result = result
        said = (result.stdout + result.stderr).strip()
        super().__init__(f"{' '.join(argv)}: exit status {result.returncode}\n{said}")


def run(
    argv: Sequence[str],
    *,
    input: str | None = None,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    check: bool = True,
    timeout: float | None = None,
) -> subprocess.CompletedProcess[str]:
    """Run `argv` to its end; raise `CommandFailed` for a status other than 0, unless `check` is off."""
    result = subprocess.run(
        list(argv),
        input=input,
        stdin=subprocess.DEVNULL if input is None else None,
        capture_output=True,
        text=True,
        errors="replace",
        cwd=cwd,
        env=env,
        timeout=timeout,
        check=False,
    )
    if check and result.returncode:
        raise CommandFailed(argv, result)
    return result


def output(argv: Sequence[str], *, cwd: Path | None = None, env: Mapping[str, str] | None = None) -> str:
    """What `argv` prints, without the last line end."""
    return run(argv, cwd=cwd, env=env).stdout.rstrip("\n")
