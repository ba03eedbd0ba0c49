"""A large file copied to a lab host: how long it takes, and what it costs in memory on either side."""

from __future__ import annotations

import json
import os
import subprocess
import time
from pathlib import Path
from typing import Any

import yaml

from tests.benchmarks import tools
from tests.lab.host import LabHost
from tests.lab.lab import Lab

SIZE = int(os.environ.get("BENCH_BIG_MIB", "2048")) << 20
_WATCHED = """#!/usr/bin/python3
import os, sys
pid = os.fork()
if not pid:
    os.execv("/usr/bin/python3", ["python3", *sys.argv[1:]])
_, status, usage = os.wait4(pid, 0)
with open("/root/agent-peak", "w") as file:
    file.write(str(usage.ru_maxrss * 1024))
sys.exit(os.waitstatus_to_exitcode(status))
"""
"A python3 that leaves a note of how much memory it took."


def measure(lab: Lab, folder: Path) -> dict[str, Any]:
    """Copies a small file and then a large one; `peaks` is by how many bytes each side grew."""
    with lab.host("bookworm") as host:
        watched = host.root / "root/watched-python"
        watched.write_text(_WATCHED)
        watched.chmod(0o755)
        small, large = (_copy(lab, host, folder, name, size) for name, size in (("small", 1 << 12), ("large", SIZE)))
        same = host.run(["sha256sum", "/srv/large"]).stdout.split()[0]
    peaks = {side: large[side] - small[side] for side in ("controller", "agent")}
    expected = subprocess.run(["sha256sum", str(folder / "large")], capture_output=True, text=True, check=True)
    if expected.stdout.split()[0] != same:
        raise RuntimeError("the file that arrived is another")
    grown = ", ".join(f"the {side} by {peak / (1 << 20):.0f} MiB" for side, peak in peaks.items())
    text = f"{SIZE >> 20} MiB (one block of 64 in 64 random) copied in {large['seconds']:.1f} s; grew: {grown}"
    return {"size": SIZE, "seconds": large["seconds"], "peaks": peaks, "text": text}


def _copy(lab: Lab, host: LabHost, folder: Path, name: str, size: int) -> dict[str, Any]:
    source = folder / name
    with source.open("wb") as file:
        for start in range(0, size, 4 << 20):
            file.seek(start)
            file.write(os.urandom(1 << 16))
        file.truncate(size)
    playbook = folder / f"{name}.yml"
    task = {"name": "copied", "copy": {"src": str(source), "dest": f"/srv/{name}"}}
    variables = {"ansible_python_interpreter": "/root/watched-python"}
    playbook.write_text(yaml.safe_dump([{"hosts": "all", "vars": {}, "tasks": [task]}]))
    ours = tools.ours(lab, folder)
    program, *_ = ours.command([host])
    argv = [program, "apply", "-y", "--json", "--profile", "-e", json.dumps(variables), "-i",
            str(tools.inventory(lab, folder, [host])), str(playbook)]
    began = time.perf_counter()
    done = subprocess.run(argv, capture_output=True, text=True, check=True, env={**os.environ, **ours.environment})
    seconds = time.perf_counter() - began
    events = [json.loads(line) for line in done.stdout.splitlines()]
    profile = next(one["profile"] for one in events if "profile" in one)
    time.sleep(0.5)  # the agent's note is written after it has hung up
    agent = int((host.root / "root/agent-peak").read_text())
    return {"seconds": round(seconds, 2), "controller": profile["memory"], "agent": agent}
