"""Debian's versions in their order: `epoch:upstream-revision`, where `~` comes before everything, the end too.

Source: Debian Policy 5.6.12; dpkg's lib/dpkg/version.c.
"""

from __future__ import annotations

import re
from typing import Tuple

_RUN = r"(\D*)(\d*)"


def compare(left: str, right: str) -> int:
    """-1, 0 or 1 as `left` is older than, equal to or newer than `right`."""
    a, b = _parts(left), _parts(right)
    if a[0] != b[0]:
        return -1 if a[0] < b[0] else 1
    return _order(a[1], b[1]) or _order(a[2], b[2])


def _parts(version: str) -> Tuple[int, str, str]:
    epoch, colon, rest = version.partition(":")
    if not colon or not epoch.isdigit():
        epoch, rest = "0", version
    upstream, dash, revision = rest.rpartition("-")
    return int(epoch), upstream if dash else rest, revision if dash else ""


def _order(left: str, right: str) -> int:
    """Alternates between comparing what is no digit, letter by letter, and numbers by value."""
    while left or right:
        a, b = _match(left), _match(right)
        for one, other in zip((*a[0], ""), (*b[0], "")):
            if _weight(one) != _weight(other):
                return -1 if _weight(one) < _weight(other) else 1
        if int(a[1] or 0) != int(b[1] or 0):
            return -1 if int(a[1] or 0) < int(b[1] or 0) else 1
        left, right = left[len(a[0]) + len(a[1]) :], right[len(b[0]) + len(b[1]) :]
    return 0


def _match(text: str) -> Tuple[str, str]:
    found = re.match(_RUN, text)
    assert found is not None
    return found.group(1), found.group(2)


def _weight(letter: str) -> int:
    """`~` first, then the end, then letters, then the rest."""
    if letter == "~":
        return -1
    if letter == "":
        return 0
    return ord(letter) if letter.isalpha() else ord(letter) + 256
