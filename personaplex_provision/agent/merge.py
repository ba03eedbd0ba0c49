"""An earlier edit of a text undone on the text as it is today, where that has one answer only."""

from __future__ import annotations

import difflib
import re
from typing import List, Optional, Sequence, Tuple

_FIELDS = r"[^:,\n]+|[:,\n]"
_LINES = r"[^\n]*\n|[^\n]+"
"Texts, here and in other modules: what is compiled at import is paid for by every start."

Hunk = Tuple[int, int, int, int]
"""`first[a:b]` became `second[c:d]`."""


def undone(now: str, after: str, before: str, table: bool = False) -> Optional[str]:
    """`now` without the edit that made `after` of `before`; None where the two edits meet or the place is not certain.

    Each hunk of the edit, with all that is untouched around it up to the nearest later edit, must stand exactly once
    in `now`, and is undone there. A `table` has fields between colons and commas, which may change one by one.
    """
    found = _undone(*(re.findall(_LINES, one) for one in (now, after, before)))
    if found is None and table:
        found = _undone(*(re.findall(_FIELDS, one) for one in (now, after, before)))
    return None if found is None else "".join(found)


def _undone(now: List[str], after: List[str], before: List[str]) -> Optional[List[str]]:
    ours, theirs = _hunks(after, before), _hunks(after, now)
    if any(_meet(mine, other) for mine in ours for other in theirs):
        return None
    places = []
    for start, end, *into in ours:
        low = max((other[1] for other in theirs if other[1] <= start), default=0)
        high = min((other[0] for other in theirs if other[0] >= end), default=len(after))
        at = _only(now, after[low:high])
        if at is None:
            return None
        places.append((at + start - low, at + end - low, into))
    for start, end, (first, last) in sorted(places, reverse=True):
        now = [*now[:start], *before[first:last], *now[end:]]
    return now


def _meet(mine: Hunk, other: Hunk) -> bool:
    """Whether two edits of one text touch the same lines; what only puts lines back needs its neighbours as well."""
    if mine[0] == mine[1]:
        return other[0] <= mine[0] <= other[1]
    return other[0] < mine[1] and mine[0] < other[1]


def _only(text: Sequence[str], part: Sequence[str]) -> Optional[int]:
    """Where `part` stands in the text, if it does so exactly once."""
    if not part:
        return 0 if not text else None
    size = len(part)
    found = [at for at in range(len(text) - size + 1) if text[at] == part[0] and text[at : at + size] == part]
    return found[0] if len(found) == 1 else None


def _hunks(first: Sequence[str], second: Sequence[str]) -> List[Hunk]:
    matcher = difflib.SequenceMatcher(None, first, second, autojunk=False)
    return [(a, b, c, d) for tag, a, b, c, d in matcher.get_opcodes() if tag != "equal"]
