"""Durations and sizes as people write them on a command line: `30d`, `12h`, `2G`, `500M`."""

from __future__ import annotations

import re

_SECONDS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0}
_BYTES = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}


def duration(text: str) -> float:
    """Seconds. Raises ValueError that says the forms."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([smhdw])", text.strip())
    if found is None:
        raise ValueError(f'"{text}" is no duration: write a number and its unit, as in 30d, 12h, 90m or 45s')
    return float(found[1]) * _SECONDS[found[2]]


def size(text: str) -> int:
    """Bytes, by powers of 1024. Raises ValueError that says the forms."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([KMGT]?)(?:i?B)?", text.strip(), re.IGNORECASE)
    if found is None:
        raise ValueError(f'"{text}" is no size: write a number and its unit, as in 2G, 500M or 64K')
    return int(float(found[1]) * _BYTES[found[2].upper()])
