"""The chart of the README, drawn from the JSON: bars on a logarithmic scale, for light and dark pages alike."""

from __future__ import annotations

import html
import json
import math
import sys
from pathlib import Path
from typing import Any

COLOURS = {"ours": "#2f81f7", "floor": "#8b949e"}
OTHER = "#bc8cff"
NAMES = {"ours": "provision", "floor": "floor (bare paramiko)"}
LABEL, BAR, ROW, TOP = 170, 430, 20, 34
SHOWN = (("noop", 1, 0), ("fresh", 1, 0), ("noop", 1, 50), ("noop", 30, 0))


def draw(found: dict[str, Any]) -> str:
    """The chart as SVG."""
    cells = [cell for wanted in SHOWN for cell in found["cells"]
             if (cell["case"], cell["hosts"], cell["rtt"]) == wanted]
    medians = [tool["median"] for cell in cells for tool in cell["tools"].values()]
    low, high = math.log10(min(medians, default=1) / 2), math.log10(max(medians, default=10))

    def along(seconds: float) -> float:
        return max(BAR * (math.log10(seconds) - low) / (high - low), 2)

    parts, y = list[str](), 8
    for cell in cells:
        y += 22
        parts.append(f'<text class="t" x="8" y="{y}">{html.escape(cell["cell"])}</text>')
        y += 8
        for name, tool in cell["tools"].items():
            if name == "plan":
                continue
            width = along(tool["median"])
            colour, label = COLOURS.get(name, OTHER), html.escape(NAMES.get(name, tool["name"]))
            parts += [
                f'<text x="{LABEL - 8}" y="{y + 14}" text-anchor="end">{label}</text>',
                f'<rect x="{LABEL}" y="{y + 3}" width="{width:.1f}" height="14" rx="2" fill="{colour}"/>',
                f'<text x="{LABEL + width + 6:.1f}" y="{y + 14}">{_seconds(tool["median"])}</text>',
            ]
            y += ROW
    scale = list[str]()
    for tick in (10.0**power for power in range(math.ceil(low), math.floor(high) + 1)):
        x = f"{LABEL + along(tick):.1f}"
        scale += [f'<path class="g" d="M{x} 16V{y + 6}"/>',
                  f'<text class="n" x="{x}" y="{y + 20}" text-anchor="middle">{tick:g} s</text>']
    height, width = y + TOP + 14, LABEL + BAR + 80
    note = f"each line is ten times the one before it; medians; {html.escape(found['machine'])}"
    parts = [*scale, *parts, f'<text class="n" x="8" y="{y + 40}">{note}</text>']
    style = (
        "text{font:12px system-ui,sans-serif;fill:#57606a}.t{font-weight:600;fill:#24292f}.n{font-size:11px}"
        ".g{stroke:#8b949e;stroke-opacity:.3}"
        "@media(prefers-color-scheme:dark){text{fill:#8b949e}.t{fill:#e6edf3}}"
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
        f'role="img" aria-label="How long each tool takes"><style>{style}</style>{"".join(parts)}</svg>\n'
    )


def _seconds(value: float) -> str:
    return f"{value:.2f} s" if value < 10 else f"{value:.0f} s"


if __name__ == "__main__":
    source, target = map(Path, sys.argv[1:])
    target.write_text(draw(json.loads(source.read_text())))
