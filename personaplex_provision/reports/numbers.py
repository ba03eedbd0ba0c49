"""Numbers as people read them: counts with their noun, durations, bytes."""

from __future__ import annotations


def counted(number: int, noun: str, plural: str = "") -> str:
    """`1 host`, `3 hosts`."""
    return f"{number} {noun if number == 1 else plural or noun + 's'}"


def seconds(value: float) -> str:
    """A duration: `0.3s`, `12s`, `4m05s`, `2h03m`."""
    if value < 9.95:
        return f"{value:.1f}s"
    whole = round(value)
    if whole < 60:
        return f"{whole}s"
    minutes, rest = divmod(whole, 60)
    if minutes < 60:
        return f"{minutes}m{rest:02d}s"
    return f"{minutes // 60}h{minutes % 60:02d}m"


def size(value: float) -> str:
    """Bytes in powers of 1024: `512 B`, `1.5 MiB`."""
    for unit in ("B", "KiB", "MiB", "GiB"):
        if value < 1024:
            return f"{value:.0f} B" if unit == "B" else f"{value:.1f} {unit}"
        value /= 1024
    return f"{value:.1f} TiB"


def progress(done: float, total: float) -> str:
    """How far something is: bytes from 64 KiB on, else plain numbers; without a total only what is done."""
    if max(done, total) >= 65536:
        return f"{size(done)} of {size(total)}" if total else size(done)
    return f"{done:g} of {total:g}" if total else f"{done:g}"
