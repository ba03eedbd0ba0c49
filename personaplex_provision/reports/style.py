"""Colours where they are wanted, and text from hosts without anything a terminal would obey."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from typing import TextIO

_CODES = {
    "bold": "1", "dim": "2", "red": "31", "green": "32", "yellow": "33", "blue": "34", "magenta": "35", "cyan": "36",
}
_ESCAPES = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[@-Z\\^_])")
_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


class Style:
    """Paints text; without colour it leaves everything as it is."""

    def __init__(self, colour: bool = False) -> None:
        self.colour = colour

    def __call__(self, text: str, *names: str) -> str:
        """`text` in the colours of `names` (bold, dim, red, green, yellow, blue, magenta, cyan)."""
        if not self.colour or not names or not text:
            return text
        codes = ";".join(_CODES[name] for name in names)
        return f"\x1b[{codes}m{text}\x1b[0m"


def coloured(stream: TextIO, environment: Mapping[str, str] = os.environ, allowed: bool = True) -> bool:
    """Whether escape codes may be written to a stream: a terminal that can, and no `NO_COLOR`, no `CI`."""
    if not allowed or environment.get("NO_COLOR") or environment.get("TERM") == "dumb":
        return False
    if environment.get("CI", "").lower() not in ("", "false", "0"):
        return False
    return stream.isatty()


def clean(text: object) -> str:
    """Text from a host with escape sequences and control characters taken out; line breaks and tabs stay.

    Of a line that was overwritten by carriage returns (a progress bar) the last state stays.
    """
    found = str(text)
    if found.isprintable():
        return found
    found = _ESCAPES.sub("", found).replace("\r\n", "\n")
    if "\r" in found:
        found = "\n".join(line.rstrip("\r").rpartition("\r")[2] for line in found.split("\n"))
    return _CONTROLS.sub("", found)


def one_line(text: object, width: int = 0) -> str:
    """The text on one line, cut at `width` characters (0 for no limit)."""
    found = " ".join(clean(text).split())
    return f"{found[: width - 1]}…" if width and len(found) > width else found
