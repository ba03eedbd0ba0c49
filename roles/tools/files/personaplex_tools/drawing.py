"""The timeline of a benchmark, as SVG."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .benchmark import Record

WIDTH, LEFT, ROW = 960, 110, 46


def timeline(record: Record) -> str:
    """Who spoke when, how long each answer took, and the card beneath, over one axis of time."""
    scale = (WIDTH - LEFT - 20) / max(record.lasted, 0.001)

    def x(at: float) -> float:
        return LEFT + (at - record.began) * scale

    parts = []
    for number, one in enumerate(record.turns):
        parts.append(_bar(x(one.began), x(one.ended), 30, "#4477aa", f"turn {number + 1}"))
        if one.answered:
            delay = 1000 * (one.answered - one.ended)
            colour = "#228833" if delay < 500 else "#cc3311"
            parts.append(_bar(x(one.ended), x(one.answered), 30 + ROW, colour, f"{delay:.0f} ms"))
    for stall in record.stalls:
        parts.append(_bar(x(stall.at), x(stall.at + stall.seconds), 30 + 2 * ROW, "#cc3311", f"{1000 * stall.seconds:.0f} ms"))
    for sample in record.samples:
        if sample.throttled:
            until = x(min(sample.at + 1, record.began + record.lasted))
            parts.append(_bar(x(sample.at), until, 30 + 3 * ROW, "#ee7733", "the clocks are held back by heat"))
    rows = ["you speak", "answer after", "stalls", "held back"]
    for name, label in (("memory", "VRAM, MiB"), ("temperature", "°C"), ("clock", "MHz"), ("resident", "host, MiB")):
        points = [(x(one.at), getattr(one, name)) for one in record.samples if getattr(one, name) is not None]
        if points:
            parts.append(_curve(points, 30 + ROW * len(rows)))
            rows.append(label)
    height = 30 + ROW * len(rows) + 30
    labels = [f'<text x="6" y="{30 + ROW * number + 18}">{escape(text)}</text>' for number, text in enumerate(rows)]
    step = max(1, round(record.lasted / 8))
    ticks = [
        f'<text x="{LEFT + at * scale:.1f}" y="{height - 8}" text-anchor="middle">{at} s</text>'
        for at in range(0, int(record.lasted) + 1, step)
    ]
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" font-family="sans-serif" font-size="12">'
    title = f'<text x="6" y="16" font-weight="bold">A conversation with PersonaPlex: {escape(record.ended)}</text>'
    return "\n".join([head, '<rect width="100%" height="100%" fill="white"/>', title, *labels, *ticks, *parts, "</svg>", ""])


def _bar(left: float, right: float, top: int, colour: str, title: str) -> str:
    size = f'x="{left:.1f}" y="{top + 4}" width="{max(right - left, 1):.1f}" height="20"'
    return f'<rect {size} fill="{colour}"><title>{escape(title)}</title></rect>'


def _curve(points: list[tuple[float, float]], top: int) -> str:
    low, high = min(y for _, y in points), max(y for _, y in points)
    spread = (high - low) or 1
    path = " ".join(f"{x:.1f},{top + 30 - 24 * (y - low) / spread:.1f}" for x, y in points)
    ends = f'<text x="6" y="{top + 32}" fill="#777">{low:g} – {high:g}</text>'
    return f'<polyline points="{path}" fill="none" stroke="#aa3377" stroke-width="1.5"/>{ends}'
