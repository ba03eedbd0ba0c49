"""What the measurements must show, and whether they do."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

PEERS = {
    ("noop", 1, 0): {"pyinfra": 30, "pyinfra-nodelay": 7, "mitogen": 15, "ansible": 80},
    ("fresh", 1, 0): {"pyinfra": 15, "mitogen": 5},
}
"How many times as long as ours each peer must at least take."
FLOOR = {("noop", 1, 0): 1.5, ("fresh", 1, 0): 2.5, ("noop", 10, 0): 1.7, ("noop", 30, 0): 1.7,
         ("fresh", 10, 0): 1.7, ("fresh", 30, 0): 1.7}
"How many times the floor ours may take; from ten hosts on, of processor time too."


def text(found: dict[str, Any]) -> list[str]:
    """A line for every figure that was asked for and measured."""
    return [f"{'reached' if good else 'MISSED '}  {what}" for good, what in checks(found)]


def checks(found: dict[str, Any]) -> Iterator[tuple[bool, str]]:
    """Whether each figure was reached, and what it says."""
    for cell in found["cells"]:
        key, tools, name = (cell["case"], cell["hosts"], cell["rtt"]), cell["tools"], cell["cell"]
        for one in ("ours", "plan") if {"floor", "ours"} <= set(tools) else ():
            if one not in tools:
                continue
            wall = tools[one]["median"] / tools["floor"]["median"]
            cpu = tools[one]["cpu"] / tools["floor"]["cpu"]
            if key in FLOOR:
                limit = FLOOR[key]
                yield wall <= limit, f"{name}: {tools[one]['name']} {wall:.2f} × the floor, at most {limit:g}"
                if cell["hosts"] > 1:
                    yield cpu <= limit, f"{name}: {tools[one]['name']} {cpu:.2f} × the floor's cpu, at most {limit:g}"
            if cell["rtt"] and cell["case"] == "noop":
                extra = (tools[one]["median"] - tools["floor"]["median"]) / cell["echo"]
                yield extra <= 2, f"{name}: {tools[one]['name']} the floor + {extra:.1f} round trips, at most 2"
        for peer, least in PEERS.get(key, {}).items():
            if peer in tools and "ours" in tools:
                times = tools[peer]["median"] / tools["ours"]["median"]
                yield times >= least, f"{name}: {times:.1f} × faster than {tools[peer]['name']}, at least {least}"
    if "simulated" in found:
        one = found["simulated"]
        yield one["cpu_ms"] <= 25, f"{one['hosts']} simulated hosts: {one['cpu_ms']:.1f} ms of cpu a host, at most 25"
        yield one["kilobytes"] <= 300, f"{one['hosts']} simulated hosts: {one['kilobytes']:.0f} kB a host, at most 300"
    if "big" in found:
        for side, peak in found["big"]["peaks"].items():
            what = f"a file of {found['big']['size'] >> 20} MiB: {side} grew by {peak / (1 << 20):.0f} MiB, at most 64"
            yield peak <= 64 << 20, what
