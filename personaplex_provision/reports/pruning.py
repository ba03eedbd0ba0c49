"""What pruning drops, as people read it: the runs, their size, and what can no longer be taken back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from personaplex_provision.reports.history import what, when
from personaplex_provision.reports.numbers import counted, size
from personaplex_provision.reports.style import Style, clean

Found = Mapping[str, Mapping[str, Any]]


def render(found: Found, records: Sequence[str], style: Style) -> str:
    """What goes and what stays on each host."""
    lines: list[str] = []
    for host, told in found.items():
        going, staying = told["going"], told["staying"]
        freed = sum(int(one["size"]) for one in going)
        lines.append(f"{style(f'host {clean(host)}', 'bold')}: {counted(len(going) + len(staying), 'run')}, "
                     f"{size(int(told['size']))}; {counted(len(going), 'goes', 'go')}, {size(freed)}")
        for one in going:
            mark = style("-", "red")
            last = style("cannot be taken back any more", "yellow") if one["lost"] else "nothing to take back"
            lines.append(f"  {mark} {one['run']}  {when(one['ts'])}  {what(one)}, {size(int(one['size']))}: {last}")
        lines += [f"  = {one['run']}  stays: {one['why']}" for one in staying if one["why"]]
        if any(one["lost"] for one in going):
            kept = [one for one in staying if not one["why"]] or staying
            text = f"after this, nothing before {kept[0]['run']} can be taken back" if kept else (
                "after this, nothing that was done so far can be taken back")
            lines.append(style(f"  {text}", "yellow", "bold"))
    if records:
        lines.append(f"this machine: {counted(len(records), 'record')} of runs, {records[0]} to {records[-1]}")
    return "\n".join(lines) + "\n"


def told(found: Found, style: Style) -> str:
    """What was dropped."""
    return "".join(
        f"{style(clean(host), 'bold')}: dropped {counted(len(one['going']), 'run')}, {size(int(one['freed']))} freed\n"
        for host, one in found.items() if "freed" in one
    )


def question(found: Found, records: Sequence[str]) -> str:
    """What pruning would do, in one line."""
    runs = sum(len(one["going"]) for one in found.values())
    hosts = sum(bool(one["going"]) for one in found.values())
    lost = sum(bool(run["lost"]) for one in found.values() for run in one["going"])
    text = f"To drop {counted(runs, 'run')} on {counted(hosts, 'host')}"
    text += f" and {counted(len(records), 'record')} here" if records else ""
    return text + (f", {lost} of which can still be taken back" if lost else "")
