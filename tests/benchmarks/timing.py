"""Commands measured side by side: A B A B, whole processes, so that a busy moment falls on all of them."""

from __future__ import annotations

import os
import statistics
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class Run:
    """What one run of a command cost on this machine, its child processes included."""

    seconds: float
    "Wall clock."
    cpu: float
    "Seconds of processor time; what it left running in the background (ssh's masters) is not in it."
    memory: int
    "Bytes at the peak of its largest process."


@dataclass
class Times:
    """The runs of one command."""

    name: str
    runs: list[Run] = field(default_factory=list)

    @property
    def seconds(self) -> list[float]:
        """Wall-clock seconds, run after run."""
        return [one.seconds for one in self.runs]

    @property
    def median(self) -> float:
        """The middle of the wall-clock seconds."""
        return statistics.median(self.seconds)

    @property
    def cpu(self) -> float:
        """The middle of the processor seconds."""
        return statistics.median(one.cpu for one in self.runs)

    @property
    def memory(self) -> int:
        """The highest peak, in bytes."""
        return max(one.memory for one in self.runs)

    @property
    def spread(self) -> tuple[float, float]:
        """The quartiles of the wall-clock seconds; of few runs the ends."""
        if len(self.runs) < 4:
            return min(self.seconds), max(self.seconds)
        low, _, high = statistics.quantiles(self.seconds, n=4)
        return low, high

    def as_json(self) -> dict[str, object]:
        """For machines."""
        low, high = self.spread
        rounded = [round(one, 4) for one in self.seconds]
        return {
            "median": round(self.median, 4), "quartiles": [round(low, 4), round(high, 4)], "seconds": rounded,
            "cpu": round(self.cpu, 4), "memory": self.memory,
        }


def once(
    argv: Sequence[str], environment: Mapping[str, str] | None = None, cwd: Path | None = None,
    good: Sequence[int] = (0,),
) -> Run:
    """One run of a command. Raises CalledProcessError when its exit status is none of `good`."""
    with tempfile.TemporaryFile() as said:
        began = time.perf_counter()
        process = subprocess.Popen(
            argv, stdin=subprocess.DEVNULL, stdout=said, stderr=subprocess.STDOUT, cwd=cwd,
            env={**os.environ, **(environment or {})},
        )
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - began
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode not in good:
            said.seek(0)
            tail = said.read().decode(errors="replace")[-4000:]
            raise subprocess.CalledProcessError(process.returncode, list(argv), tail)
    return Run(seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024)


def table(times: Sequence[Times]) -> str:
    """For people: a line a command, and how much dearer each is than the last."""
    base = times[-1]
    lines = [f"{'':<22} {'median':>9} {'quartiles':>19} {'ratio':>6} {'cpu':>8} {'ratio':>6} {'memory':>8}"]
    for one in times:
        low, high = one.spread
        lines.append(
            f"{one.name:<22} {one.median:>7.3f} s {low:>8.3f} - {high:>6.3f} s {one.median / base.median:>6.2f} "
            f"{one.cpu:>6.3f} s {one.cpu / base.cpu:>6.2f} {one.memory / 1e6:>5.0f} MB"
        )
    return "\n".join(lines)
