"""Differences as text: fields before and after, and unified text diffs."""

from __future__ import annotations

import json
from typing import Any

from personaplex_provision.reports.style import Style, clean

WIDTH = 120
"Characters of a value that are shown."
_DIGESTS = ("content", "src", "checksum", "sha256")
"Fields that a text diff says better."
_OF_THE_CHANGE = ("transaction",)
"Fields that speak of the change as a whole, so that nothing was there before."


def value(found: Any) -> str:
    """A value as JSON, shortened; marks such as `(secret x)` and `(known after apply)` as they are."""
    if found is None:
        return "(none)"
    if isinstance(found, str):
        text = clean(found)
        if text.startswith("(") and text.endswith(")"):
            return text
        text = json.dumps(text, ensure_ascii=False)
    else:
        text = clean(json.dumps(found, ensure_ascii=False))
    return text if len(text) <= WIDTH else f"{text[: WIDTH - 1]}…"


def fields(event: dict[str, Any], style: Style, margin: str) -> list[str]:
    """One line a field of an event's `diff`; fields that its `preview` shows better are left out."""
    creates, lines = event.get("action") in ("create", "run"), []
    preview = bool(event.get("preview"))
    for one in event.get("diff") or []:
        name, before, after = str(one.get("field", "")), one.get("before"), one.get("after")
        if preview and name in _DIGESTS:
            continue
        if creates and name == "state":
            continue
        head = f"{margin}{clean(name)}: "
        if (creates or name in _OF_THE_CHANGE) and before in (None, "absent"):
            lines.append(head + style(value(after), "green"))
        else:
            lines.append(f"{head}{style(value(before), 'red')} → {style(value(after), 'green')}")
    return lines


def text(preview: str, style: Style, margin: str, most: int = 0) -> list[str]:
    """The lines of a unified diff, coloured; at most `most` of them (0 for all)."""
    found = clean(preview).splitlines()
    shown = found[:most] if most else found
    lines = []
    for line in shown:
        colour = {"+": "green", "-": "red", "@": "cyan"}.get(line[:1])
        lines.append(margin + (style(line, colour) if colour else line))
    if len(shown) < len(found):
        lines.append(f"{margin}… {len(found) - len(shown)} more lines (-v shows them)")
    return lines
