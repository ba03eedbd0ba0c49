"""`playbooks/wsl2.yml` in the lab: as many steps at once as the graph allows, beside one after the other."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.lab.lab import Lab
from tests.lab.mainjob import MainJob


def measure(lab: Lab, folder: Path) -> dict[str, Any]:
    """Both on blank hosts; the critical path explains the wall time of the parallel one."""
    found = {name: _applied(lab, folder / f"jobs-{name}", words) for name, words in (
        ("parallel", []), ("one by one", ["--jobs", "1"]))}
    side, line = found["parallel"], found["one by one"]
    steps = sorted(side["chain"], key=lambda one: -float(one["seconds"]))[:6]
    told = ", ".join(f"{one['name']} {one['seconds']:.1f} s" for one in side["chain"] if one in steps)
    return {
        **found,
        "text": f"wsl2.yml: {side['wall']:.1f} s in parallel, {line['wall']:.1f} s with --jobs 1; critical path "
                f"{side['path']:.1f} s, all steps {side['sum']:.1f} s; on the path: {told}",
    }


def _applied(lab: Lab, state: Path, words: list[str]) -> dict[str, Any]:
    state.mkdir()
    with lab.host("bookworm") as host:
        said = MainJob(lab, host, state).run("apply", "apply", "-y", "--profile", *words)
    if said.code:
        raise RuntimeError(f"wsl2.yml failed:\n{said.text}")
    path: dict[str, Any] = next(one["profile"]["critical_path"] for one in said.events if "profile" in one)
    return path
