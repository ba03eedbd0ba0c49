"""Diagnostics of errors and of events as text."""

from __future__ import annotations

from typing import Any

from personaplex_provision.errors import Diagnostic, Position
from personaplex_provision.reports.style import Style, clean

_COLOURS = {"error": "red", "warning": "yellow", "note": "cyan"}


def of_event(event: dict[str, Any]) -> Diagnostic:
    """The diagnostic that an event carries (its own fields, or those of its `diagnostic`)."""
    position = None
    if event.get("file"):
        position = Position(str(event["file"]), int(event.get("line") or 0), int(event.get("column") or 0))
    return Diagnostic(
        str(event.get("summary", "")), str(event.get("detail") or ""), position, str(event.get("hint") or ""),
        str(event.get("severity", "error")),
    )


def render(diagnostic: Diagnostic, style: Style, host: str = "") -> str:
    """As `Diagnostic.render`, with the severity coloured and the host in front when the summary lacks it."""
    text = clean(diagnostic.render())
    word = f"{diagnostic.severity}: "
    before, found, after = text.partition(word)
    if found:
        text = before + style(word, _COLOURS.get(diagnostic.severity, "red"), "bold") + after
    if host and host not in diagnostic.summary:
        text = f"{host}: {text}"
    return text
