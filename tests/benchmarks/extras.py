"""Measurements that have no peer: many simulated hosts, a large file, a run's own parallelism."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.benchmarks import big, jobs, simulated
from tests.lab.lab import Lab

ALL: dict[str, Callable[[Lab, Path], dict[str, Any]]] = {
    "simulated": simulated.measure, "big": big.measure, "jobs": jobs.measure,
}
"Names for `BENCH_EXTRAS`."
