"""What the package database of a host says, read from outside."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path


def packages(root: Path) -> dict[str, str]:
    """Package:architecture -> version, state, and whether it is there only because another one needs it."""
    marks = _stanzas(root / "var/lib/apt/extended_states")
    automatic = {stanza["package"] for stanza in marks if stanza.get("auto-installed") == "1"}
    found = {}
    for stanza in _stanzas(root / "var/lib/dpkg/status"):
        state = stanza["status"]
        if not state.endswith(" not-installed"):
            why = "automatic" if stanza["package"] in automatic else "manual"
            name = f"{stanza['package']}:{stanza.get('architecture', '')}"
            found[name] = f"{stanza.get('version', '-')} {state}, {why}"
    return found


def _stanzas(path: Path) -> Iterator[dict[str, str]]:
    text = path.read_text() if path.exists() else ""
    for paragraph in text.split("\n\n"):
        lines = [line.partition(":") for line in paragraph.splitlines() if not line.startswith((" ", "\t"))]
        if lines:
            yield {key.lower(): value.strip() for key, _, value in lines}
