"""What the suite found, for people: a table a cell, ratios, and what was left out."""

from __future__ import annotations

from typing import Any

from tests.benchmarks import limits

_HEAD = (
    f"{'':<22}{'median s':>10}{'spread':>20}{'cpu s':>9}{'peak MB':>9}{'× floor':>9}{'its cpu':>9}{'× ours':>9}"
    f"{'runs':>6}"
)


def text(found: dict[str, Any]) -> str:
    """The whole report."""
    lines = [f"{found['machine']}", ""]
    for cell in found["cells"]:
        echo = f" (echo {1000 * cell['echo']:.1f} ms)" if "echo" in cell else ""
        lines += [f"{cell['cell']}{echo}", _HEAD]
        lines += [_row(one, cell["tools"]) for one in cell["tools"].values()]
        lines.append("")
    for name in ("simulated", "big", "jobs"):
        if name in found:
            lines += [f"{name}: {found[name]['text']}", ""]
    lines += limits.text(found)
    versions = {one["name"]: one["version"] for cell in found["cells"] for one in cell["tools"].values()
                if one["version"]}
    lines += [f"{name}: {version}" for name, version in versions.items()]
    lines += [f"left out: {one}" for one in found["left_out"]]
    lines += [f"FAILED: {one}" for one in found["failures"]]
    lines += [f"DIFFERENT: {one}" for one in found["differences"]] or ["every tool left the same state"]
    lines.append("peak: of the largest process; cpu: of all processes but what stays behind in the background")
    return "\n".join(lines)


def ratio(tools: dict[str, Any], one: str, other: str, of: str = "median") -> float | None:
    """How many times `other` the tool `one` took, or None where either was not measured."""
    if one not in tools or other not in tools or not tools[other][of]:
        return None
    return float(tools[one][of]) / float(tools[other][of])


def _row(one: dict[str, Any], tools: dict[str, Any]) -> str:
    low, high = one["quartiles"]

    def times(base: str, of: str = "median") -> str:
        return f"{one[of] / tools[base][of]:.2f}" if base in tools and tools[base][of] else ""

    return (
        f"{one['name']:<22}{one['median']:>10.3f}{f'{low:.2f} – {high:.2f}':>20}{one['cpu']:>9.3f}"
        f"{one['memory'] / 1e6:>9.0f}{times('floor'):>9}{times('floor', 'cpu'):>10}{times('ours'):>8}"
        f"{len(one['seconds']):>6}"
    )
