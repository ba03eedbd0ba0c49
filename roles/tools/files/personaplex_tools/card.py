"""The graphics card while the model works: memory, temperature, clocks, and what holds the clocks back."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from dataclasses import dataclass

PROGRAMS = ("/usr/lib/wsl/lib/nvidia-smi", "/usr/bin/nvidia-smi", "/usr/local/bin/nvidia-smi")
FIELDS = ("memory.used", "memory.total", "temperature.gpu", "clocks.sm", "utilization.gpu", "clocks_throttle_reasons.active")
THERMAL = 0x20 | 0x40
"""Bits of the reasons that are heat: of the software and of the hardware."""
ALERT, STOP = 85, 90
"""Degrees Celsius at which a card begins to slow down, and at which work is stopped."""


@dataclass
class Sample:
    """One look at the card and at the server."""

    at: float
    "Seconds of the monotonic clock."
    memory: int | None = None
    "MiB of the card in use, by every program."
    total: int | None = None
    "MiB of the card."
    temperature: int | None = None
    "Degrees Celsius."
    clock: int | None = None
    "MHz."
    busy: int | None = None
    "Percent."
    throttled: bool = False
    "Whether heat holds the clocks back."
    resident: int | None = None
    "MiB of the host's memory that the server has."


def program() -> str | None:
    """Where nvidia-smi is. In WSL it is not on the PATH of a service, so it is looked for."""
    return next((one for one in PROGRAMS if os.access(one, os.X_OK)), None)


def look(pid: int | None = None) -> Sample:
    """A sample; without a card only what is known of the server."""
    found = Sample(time.monotonic(), resident=resident(pid) if pid else None)
    smi = program()
    if smi is None:
        return found
    try:
        argv = [smi, f"--query-gpu={','.join(FIELDS)}", "--format=csv,noheader,nounits"]
        done = subprocess.run(argv, capture_output=True, text=True, timeout=10, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return found
    words = [one.strip() for one in done.stdout.splitlines()[0].split(",")] if done.stdout.strip() else []
    if done.returncode or len(words) != len(FIELDS):
        return found
    numbers = [int(float(one)) if one.replace(".", "", 1).isdigit() else None for one in words[:5]]
    found.memory, found.total, found.temperature, found.clock, found.busy = numbers
    found.throttled = words[5].startswith("0x") and bool(int(words[5], 16) & THERMAL)
    return found


def resident(pid: int) -> int | None:
    """MiB that a process has in memory."""
    try:
        with open(f"/proc/{pid}/statm") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") // 2**20
    except (OSError, ValueError, IndexError):
        return None


class TooHot(Exception):
    """The card is so hot that work must stop."""


class Watch:
    """Looks every second, from a thread of its own, until it is left. Warns once, as soon as the card is hot."""

    def __init__(self, pid: int | None, every: float = 1.0) -> None:
        self.samples: list[Sample] = []
        self.hottest = 0
        self._pid, self._every = pid, every
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Watch:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()

    def guard(self) -> None:
        """Raises TooHot when the card was seen so."""
        if self.hottest >= STOP:
            raise TooHot

    def _run(self) -> None:
        while True:
            found = look(self._pid)
            self.samples.append(found)
            heat = found.temperature or 0
            if heat >= ALERT > self.hottest:
                print(f"Alert: the card has {heat} °C, and slows down from {ALERT} °C on.", file=sys.stderr, flush=True)
            self.hottest = max(self.hottest, heat)
            if self._done.wait(self._every):
                return


def trend(samples: list[Sample], name: str) -> float | None:
    """MiB a minute by which `memory` or `resident` grows: the slope of the straight line through the second half.

    The first half is left out, since caches and graphs fill up then. None with less than four samples.
    """
    points = [(one.at, getattr(one, name)) for one in samples[len(samples) // 2 :] if getattr(one, name) is not None]
    if len(points) < 4:
        return None
    middle = (sum(x for x, _ in points) / len(points), sum(y for _, y in points) / len(points))
    spread = sum((x - middle[0]) ** 2 for x, _ in points)
    return 60 * sum((x - middle[0]) * (y - middle[1]) for x, y in points) / spread if spread else None
