"""A run's profile for people."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from personaplex_provision.reports.numbers import counted
from personaplex_provision.reports.style import Style, one_line

STEPS = 12
"Steps of a critical path that are shown: those that took longest."


def render(profile: Mapping[str, Any], style: Style) -> str:
    """Phases, tasks, critical path."""
    many = profile["hosts"] > 1
    lines = [style("where the time went", "bold")]
    for name, one in profile["phases"].items():
        tail = f"  (all {counted(profile['hosts'], 'host')} together {one['sum']:.2f} s)" if many else ""
        lines.append(f"  {name:<10} {one['slowest']:>8.3f} s{tail}")
    lines.append(f"  {'in all':<10} {profile['seconds']:>8.3f} s; here {profile['cpu']:.2f} s of processor time, "
                 f"{profile['memory'] / 1e6:.0f} MB at the peak")
    if profile["tasks"]:
        lines.append(style("tasks that took longest" + (", all hosts together" if many else ""), "bold"))
    for task in profile["tasks"]:
        name = f"{task['kind']}: {one_line(task['name'], 50)}"
        lines.append(f"  {task['seconds']:>8.3f} s  {task['phase']:<9} {name}")
    path = profile.get("critical_path")
    if path:
        lines += _path(path, style)
    return "\n".join(lines) + "\n"


def _path(path: Mapping[str, Any], style: Style) -> list[str]:
    lines = [style(f"critical path of {path['host']}: {path['path']:.2f} s", "bold")]
    shown = sorted(path["chain"], key=lambda one: -float(one["seconds"]))[:STEPS]
    lines += [f"  {one['seconds']:>8.3f} s  {one_line(one['name'], 60)}" for one in path["chain"] if one in shown]
    if len(shown) < len(path["chain"]):
        rest = sum(float(one["seconds"]) for one in path["chain"]) - sum(float(one["seconds"]) for one in shown)
        lines.append(f"  {rest:>8.3f} s  {counted(len(path['chain']) - len(shown), 'shorter step')}")
    lines.append(f"  all steps {path['sum']:.2f} s, run in {path['wall']:.2f} s; "
                 f"more --jobs could save at most {path['could_save']:.2f} s")
    return lines
