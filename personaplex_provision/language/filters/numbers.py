"""Filters on numbers, sizes and chance."""

from __future__ import annotations

import math
import re
from random import Random, SystemRandom
from typing import Any

_UNITS = {"Y": 1 << 80, "Z": 1 << 70, "E": 1 << 60, "P": 1 << 50, "T": 1 << 40, "G": 1 << 30, "M": 1 << 20,
          "K": 1 << 10, "B": 1}


def logarithm(value: float, base: float = math.e) -> float:
    """The logarithm of `value`."""
    return math.log10(value) if base == 10 else math.log(value, base)


def root(value: float, base: float = 2) -> float:
    """The root of `value`; square when `base` is left out."""
    return math.sqrt(value) if base == 2 else math.pow(value, 1.0 / float(base))


def human_readable(size: Any, isbits: bool = False, unit: str | None = None) -> str:
    """A number of bytes (or bits) as people read it: `1.50 GB`."""
    size = float(size)
    letter, limit = "B", 1
    for letter, limit in _UNITS.items():
        if (size >= limit) if unit is None else unit.upper() == letter:
            break
    word = "bits" if isbits else "Bytes"
    suffix = word if limit == 1 else letter + word[0]
    return f"{size / limit:.2f} {suffix}"


def human_to_bytes(size: Any, default_unit: str | None = None, isbits: bool = False) -> int:
    """The number of bytes (or bits) that `10M`, `1.5 GB` … mean. Raises ValueError."""
    found = re.fullmatch(r"(\d*\.?\d+)(?:\s*([A-Za-z]+))?\s*", str(size))
    if not found:
        raise ValueError(f"{size!r} is not a size such as 10M or 1.5 GB")
    unit = found[2] or default_unit
    if unit is None:
        return round(float(found[1]))
    letter = unit[0].upper()
    if letter not in _UNITS:
        raise ValueError(f"{unit!r} is not a unit; there are: {', '.join(_UNITS)}")
    small = "b" if isbits else "B"
    words = ("bit", "bits") if isbits else ("byte", "bytes")
    allowed = {letter, letter.lower(), letter + small, letter.lower() + small}
    if letter == "B":
        allowed = {"B", "b", *words, *(word.capitalize() for word in words)}
    if unit not in allowed and unit.lower() not in words:
        raise ValueError(f"{unit!r} is not a unit of {words[1]}; write {letter}{small} or {letter}")
    return round(float(found[1]) * _UNITS[letter])


def random(end: Any, start: int | None = None, step: int | None = None, seed: Any = None) -> Any:
    """One of a list, or a number below `end`; the same one each time for the same `seed`."""
    chance = SystemRandom() if seed is None else Random(seed)
    if isinstance(end, int):
        return chance.randrange(start or 0, int(end), step or 1)
    if start or step:
        raise ValueError("start and step are for numbers")
    return chance.choice(list(end))


def shuffle(values: Any, seed: Any = None) -> list[Any]:
    """The values in another order; the same one each time for the same `seed`."""
    found = list(values)
    (Random(seed) if seed else SystemRandom()).shuffle(found)
    return found


FILTERS: dict[str, Any] = {
    "human_readable": human_readable,
    "human_to_bytes": human_to_bytes,
    "log": logarithm,
    "pow": math.pow,
    "random": random,
    "root": root,
    "shuffle": shuffle,
}
