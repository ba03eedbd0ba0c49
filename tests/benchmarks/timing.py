"""Two commands measured side by side: A B A B, whole processes, so that a busy moment falls on both."""

from __future__ import annotations

import os
import statistics
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass
class Times:
    """Wall-clock seconds of one command, run after run."""

    name: str
    seconds: list[float]

    @property
    def median(self) -> float:
        """The middle of the runs."""
        return statistics.median(self.seconds)

    @property
    def spread(self) -> tuple[float, float]:
        """The quartiles."""
        low, _, high = statistics.quantiles(self.seconds, n=4)
        return low, high

    def as_json(self) -> dict[str, object]:
        """For machines."""
        low, high = self.spread
        rounded = [round(one, 4) for one in self.seconds]
        return {"median": round(self.median, 4), "quartiles": [round(low, 4), round(high, 4)], "seconds": rounded}


def measure(
    commands: Mapping[str, Sequence[str]], rounds: int, environment: Mapping[str, str] | None = None
) -> list[Times]:
    """Runs each command once to warm up and then `rounds` times in turn. Raises CalledProcessError."""
    found = [Times(name, []) for name in commands]
    for number in range(rounds + 1):
        for times, argv in zip(found, commands.values(), strict=True):
            seconds = once(argv, environment)
            if number:
                times.seconds.append(seconds)
    return found


def once(argv: Sequence[str], environment: Mapping[str, str] | None = None) -> float:
    """Seconds that one run of a command takes. Raises CalledProcessError."""
    began = time.perf_counter()
    done = subprocess.run(
        argv, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False,
        env={**os.environ, **(environment or {})},
    )
    seconds = time.perf_counter() - began
    if done.returncode:
        raise subprocess.CalledProcessError(done.returncode, list(argv), done.stdout[-2000:], done.stderr[-2000:])
    return seconds


def table(times: Sequence[Times]) -> str:
    """For people: a line a command, and how much dearer each is than the last."""
    base = times[-1].median
    lines = [f"{'':<12} {'median':>9} {'quartiles':>19} {'ratio':>6}"]
    for one in times:
        low, high = one.spread
        lines.append(f"{one.name:<12} {one.median:>7.3f} s {low:>8.3f} - {high:>6.3f} s {one.median / base:>6.2f}")
    return "\n".join(lines)
