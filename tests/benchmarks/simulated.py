"""Many hosts at once: each a real agent process behind a local stream, all inside one lab host that is in state."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
from pathlib import Path
from typing import Any

from tests.benchmarks import tools
from tests.benchmarks.timing import once
from tests.lab.host import LabHost
from tests.lab.lab import Lab

HOSTS = 500
FORKS = 50


def inventory(host: LabHost, folder: Path, number: int) -> Path:
    """An inventory of `number` hosts, every one of them `host` entered without a network."""
    enter = folder / f"enter-{host.name}"
    enter.write_text(f'#!/bin/sh\nexec {shlex.join(host.entrance())} python3 "$@"\n')
    enter.chmod(0o755)
    shared = {"ansible_connection": "local", "ansible_python_interpreter": str(enter), "bench_host": host.name}
    path = folder / f"simulated-{number}.json"
    path.write_text(json.dumps({"all": {"vars": shared, "hosts": {f"s{n:04}": {} for n in range(number)}}}))
    return path


def measure(lab: Lab, folder: Path, number: int = HOSTS) -> dict[str, Any]:
    """A no-op of the workload on many hosts: the controller's processor time and memory, without the agents'."""
    with lab.host("bookworm") as host:
        ours = tools.ours(lab, folder)
        once(ours.command([host]), ours.environment)
        found = {one: run(host, folder, one, ours) for one in (1, number)}
    few, many = found[1], found[number]
    cpu, memory = many["cpu"] - few["cpu"], many["memory"] - few["memory"]
    milliseconds, kilobytes = 1000 * cpu / (number - 1), memory / 1000 / (number - 1)
    return {
        "hosts": number, "cpu_ms": round(milliseconds, 2), "kilobytes": round(kilobytes), "seconds": many["seconds"],
        "cpu": many["cpu"], "memory": many["memory"],
        "text": f"{number} hosts, no-op, {FORKS} at a time: {many['seconds']:.1f} s, {milliseconds:.1f} ms of the "
                f"controller's cpu and {kilobytes:.0f} kB a host",
    }


def run(host: LabHost, folder: Path, number: int, ours: tools.Tool) -> dict[str, Any]:
    """One run on `number` hosts, as `--profile` tells of it."""
    program, command, *_, playbook = ours.command([host])
    said = folder / f"simulated-{number}.jsonl"
    argv = [program, command, "-y", "--json", "--profile", "-f", str(FORKS), "-i",
            str(inventory(host, folder, number)), playbook]
    with said.open("w") as out:
        subprocess.run(argv, stdin=subprocess.DEVNULL, stdout=out, check=True, env={**os.environ, **ours.environment})
    events = [json.loads(line) for line in said.read_text().splitlines()]
    profile = next(one["profile"] for one in events if "profile" in one)
    return {"seconds": profile["seconds"], "cpu": profile["cpu"], "memory": profile["memory"]}
