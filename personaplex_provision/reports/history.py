"""The runs that hosts remember, as people read them."""

from __future__ import annotations

import os
from collections.abc import Iterable
from datetime import datetime
from typing import Any

from personaplex_provision.reports.lines import Lines
from personaplex_provision.reports.numbers import counted, seconds, size
from personaplex_provision.reports.style import Style, clean
from personaplex_provision.runs.holder import described

Run = dict[str, Any]
_COLOURS = {
    "ok": "green", "failed": "red", "unverified": "yellow", "unfinished": "magenta", "rolled back": "yellow",
    "interrupted": "magenta",
}


def render_list(found: dict[str, list[Run]], style: Style) -> str:
    """One line a run, oldest first; hosts that took part in it together."""
    runs: dict[str, dict[str, Run]] = {}
    for host, known in found.items():
        for one in known:
            runs.setdefault(str(one["run"]), {})[host] = one
    if not runs:
        return "No runs are recorded.\n"
    sized = any("size" in one for hosts in runs.values() for one in hosts.values())
    rows = [("run", "when", "who", "what", "outcome", "changed", "undo", *(["size"] if sized else []), "hosts")]
    for name in sorted(runs):
        hosts = runs[name]
        first = next(iter(hosts.values()))
        outcome = "/".join(dict.fromkeys(_outcome(one) for one in hosts.values()))
        listed = list(hosts) if len(hosts) <= 3 else [*list(hosts)[:2], f"… {len(hosts) - 2} more"]
        rows.append((name, when(first.get("ts")), clean(first.get("who", "")), what(first), outcome,
                     str(sum(int(one.get("changed", 0)) for one in hosts.values())), _worst(list(hosts.values())),
                     *([size(_size(hosts.values()))] if sized else []), ", ".join(listed)))
    wide = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = []
    for number, row in enumerate(rows):
        cells = [f"{cell:<{width}}" for cell, width in zip(row, wide, strict=True)]
        if number == 0:
            cells = [style(cell, "bold") for cell in cells]
        else:
            cells[4] = style(cells[4], _COLOURS.get(row[4].split(",")[0], "red"))
        lines.append("  ".join(cells).rstrip())
    if sized:
        total = size(sum(_size(hosts.values()) for hosts in runs.values()))
        lines.append(style(f"{counted(len(runs), 'run')}, {total} on {counted(len(found), 'host')}", "dim"))
    return "\n".join(lines) + "\n"


def _size(runs: Iterable[Run]) -> int:
    return sum(int(one.get("size", 0)) for one in runs)


def render_run(found: dict[str, list[Run]], style: Style, verbosity: int = 0) -> str:
    """Every step of the run on every host that knows it."""
    lines: list[str] = []
    for host, known in found.items():
        for one in known:
            ended = one.get("ended")
            took = f", {seconds(float(ended) - float(one['ts']))}" if ended and one.get("ts") else ""
            lines.append(f"{style(f'host {clean(host)}', 'bold')}  run {one['run']}, {when(one.get('ts'))}{took}")
            lines.append(f"  {what(one)} by {clean(one.get('who', '?'))}: {_outcome(one)}, "
                         f"{counted(int(one.get('changed', 0)), 'change')}, undo: {one.get('reversible', 'exact')}")
            if one.get("took_over"):
                lines.append(f"  took the host over from {clean(described(one['took_over']))}, which ended without "
                             "giving it back")
            told = Lines(style, max(verbosity, 1))
            for event in one.get("events", []):
                if event.get("type") in ("task_end", "rollback_task", "diagnostic") and not event.get("hidden"):
                    made = told({**event, "host": host})
                    lines += [f"  {line.removeprefix(host + ': ')}" for line in made]
            lines.append("")
    return "\n".join(lines)


def _outcome(run: Run) -> str:
    text = str(run.get("outcome", "?"))
    return f"{text}, taken back" if run.get("undone") else text


def what(run: Run) -> str:
    """What a run was about: `apply site.yml`."""
    name = os.path.basename(str(run.get("playbook") or ""))
    return clean(f"{run.get('purpose', '')} {name}".strip()) or "?"


def when(stamp: Any) -> str:
    """A time, of this machine's clock."""
    if not isinstance(stamp, (int, float)):
        return "?"
    return datetime.fromtimestamp(stamp).astimezone().strftime("%Y-%m-%d %H:%M:%S")


def _worst(runs: list[Run]) -> str:
    order = ("exact", "best-effort", "irreversible")
    found = [str(one.get("reversible", "exact")) for one in runs]
    return max(found, key=lambda one: order.index(one) if one in order else 0)
