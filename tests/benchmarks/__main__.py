"""`python -m tests.benchmarks [quick]`: the tables on standard error, the numbers as JSON on standard output."""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.benchmarks import chart, extras, report
from tests.benchmarks.plan import LIMIT, bench
from tests.benchmarks.suite import Suite, wanted
from tests.benchmarks.timing import table
from tests.lab.lab import Lab, missing


def main() -> int:
    """0 when what was measured is what it may be (`quick`), or when all tools left the same state."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description="Us, the floor, and our peers.")
    parser.add_argument("what", nargs="?", choices=["all", "quick", "chart"], default="all")
    parser.add_argument("--rounds", type=int, default=9, help="runs of each, for quick (9)")
    parser.add_argument("--out", type=Path, default=Path("docs"), help="where bench.json and bench.svg go (docs)")
    args = parser.parse_args()
    if args.what == "chart":
        found = json.loads((args.out / "bench.json").read_text())
        (args.out / "bench.svg").write_text(chart.draw(found))
        print(report.text(found))
        return 0
    reason = missing()
    if reason:
        print(reason, file=sys.stderr)
        return 1
    return quick(args.rounds) if args.what == "quick" else everything(args.out)


def quick(rounds: int) -> int:
    """Ours and the floor, in under a minute."""
    with tempfile.TemporaryDirectory() as folder, bench(Path(folder)) as place:
        times = place.run(rounds)
    ours = {one.name: round(one.median / times[-1].median, 3) for one in times[:-1]}
    print(table(times), file=sys.stderr)
    print(f"a run may cost {LIMIT:g} times the floor", file=sys.stderr)
    document = {"machine": machine(), "rounds": rounds, "ratios": ours, "limit": LIMIT,
                **{one.name: one.as_json() for one in times}}
    print(json.dumps(document, indent=1))
    return 0 if max(ours.values()) <= LIMIT else 1


def everything(out: Path) -> int:
    """The comparison, and the measurements that have no peer."""
    out.mkdir(exist_ok=True)
    want, found = wanted(os.environ), dict[str, Any]()

    def keep(more: dict[str, Any]) -> None:
        found.update(more)
        (out / "bench.json").write_text(json.dumps({"machine": machine(), **found}, indent=1) + "\n")

    with tempfile.TemporaryDirectory() as folder, Lab() as lab:
        suite = Suite(lab, Path(folder), want, keep)
        suite.run()
        keep(suite.found)
        for name, measure in _extras().items():
            print(f"{name} …", file=sys.stderr, flush=True)
            try:
                keep({name: measure(lab, Path(folder))})
            except (OSError, RuntimeError, subprocess.CalledProcessError) as error:
                keep({"failures": [*found.get("failures", []), f"{name}: {error}: {getattr(error, 'stderr', '')}"]})
    whole = {"machine": machine(), **found}
    (out / "bench.svg").write_text(chart.draw(whole))
    print(report.text(whole), file=sys.stderr)
    print(json.dumps(whole))
    return 1 if found["differences"] or found["failures"] else 0


def _extras() -> dict[str, Callable[[Lab, Path], dict[str, Any]]]:
    names = os.environ.get("BENCH_EXTRAS", " ".join(extras.ALL)).replace(",", " ").split()
    return {name: extras.ALL[name] for name in names}


def machine() -> str:
    """What it was measured on, without saying which machine."""
    return f"Python {platform.python_version()}, {platform.machine()}, {os.cpu_count()} cores"


if __name__ == "__main__":
    raise SystemExit(main())
