"""Who holds the hosts, as people read it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from personaplex_provision.reports.style import Style, clean
from personaplex_provision.runs.holder import described

_HOW = {
    "free": ("the run had ended by itself", "green"),
    "stopped": ("freed: the run stopped at the end of a step; `provision resume` goes on with it", "green"),
    "killed": ("freed by force: the next run finishes or undoes the step that was cut off", "yellow"),
    "held": ("still held: the run is in the middle of a step; wait, or end it with --force", "red"),
}


def render(found: Mapping[str, Mapping[str, Any]], style: Style) -> str:
    """One host a line: free, or by whom it is held."""
    lines = []
    for host, lease in found.items():
        holder = lease.get("holder")
        if lease["held"]:
            beat = f", last heartbeat {holder['quiet']:.0f} s ago" if holder and holder.get("alive") else ""
            said = style("held", "yellow") + f" by {clean(described(holder or {}))}{beat}"
        elif holder and not holder.get("free"):
            said = f"free; {clean(described(holder))}, without giving the host back: the next run takes over"
        else:
            said = style("free", "green")
        if not lease["held"] and not lease.get("root"):
            said += "; runs as root have a lease of their own, see it with -b"
        lines.append(f"{style(clean(host), 'bold')}: {said}")
    return "\n".join(lines) + "\n" if lines else ""


def told(found: Mapping[str, Mapping[str, Any]], style: Style) -> str:
    """What came of freeing them."""
    lines = []
    for host, lease in found.items():
        if lease.get("how"):
            text, colour = _HOW[str(lease["how"])]
            lines.append(f"{style(clean(host), 'bold')}: {style(text, colour)}")
    return "\n".join(lines) + "\n" if lines else ""
