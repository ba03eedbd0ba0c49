"""Measurements that have no peer: many simulated hosts, a big file, a run's own parallelism."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.lab.lab import Lab

ALL: dict[str, Callable[[Lab, Path], dict[str, Any]]] = {}
"Names for `BENCH_EXTRAS`."
