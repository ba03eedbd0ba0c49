"""`python -m tests.benchmarks`: the table on standard error, the numbers as JSON on standard output."""

from __future__ import annotations

import argparse
import json
import platform
import sys
import tempfile
from pathlib import Path

from tests.benchmarks.plan import LIMIT, bench
from tests.benchmarks.timing import table
from tests.lab.lab import missing


def main() -> int:
    """0 when the plan costs at most as much as it may."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description="A plan beside a bare connection.")
    parser.add_argument("--rounds", type=int, default=15, help="runs of each (15)")
    rounds = parser.parse_args().rounds
    reason = missing()
    if reason:
        print(reason, file=sys.stderr)
        return 1
    with tempfile.TemporaryDirectory() as folder, bench(Path(folder)) as place:
        times = place.run(rounds)
    plan, bare = times
    ratio = plan.median / bare.median
    print(table(times), file=sys.stderr)
    print(f"the plan costs {ratio:.2f} bare connections; it may cost {LIMIT:g}", file=sys.stderr)
    machine = f"Python {platform.python_version()}, {platform.machine()}"
    document = {"machine": machine, "rounds": rounds, "ratio": round(ratio, 3), "limit": LIMIT,
                **{one.name: one.as_json() for one in times}}
    print(json.dumps(document, indent=1))
    return 0 if ratio <= LIMIT else 1


if __name__ == "__main__":
    raise SystemExit(main())
