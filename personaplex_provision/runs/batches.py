"""`serial` and `max_fail_percentage`: which hosts of a play go together, and when to stop going on."""

from __future__ import annotations

import math
from collections.abc import Sequence

from personaplex_provision.language.tree import Play

_FINE = (0, 2, 130, 143)
"Exit codes of hosts that did not fail; those of an interrupted one are among them."


def split(hosts: Sequence[str], play: Play) -> list[list[str]]:
    """Hosts in batches as `serial` says: a number, a percentage, or a list of them whose last one repeats."""
    serial = play.keywords.get("serial")
    if not serial or not hosts:
        return [list(hosts)] if hosts else []
    sizes = [_size(one, len(hosts)) for one in (serial if isinstance(serial, list) else [serial])]
    found: list[list[str]] = []
    rest = list(hosts)
    while rest:
        size = sizes[min(len(found), len(sizes) - 1)] or len(rest)
        found.append(rest[:size])
        rest = rest[size:]
    return found


def exceeded(play: Play, exits: Sequence[int], last: Sequence[int] = ()) -> bool:
    """Whether so many of the play's hosts failed that the rest is not to be touched.

    `last` are the exits of the batch before: when all of it failed, the next would fail likewise.
    """
    failed = sum(one not in _FINE for one in exits)
    if not failed:
        return False
    if last and all(one not in _FINE for one in last):
        return True
    if play.keywords.get("any_errors_fatal"):
        return True
    limit = play.keywords.get("max_fail_percentage")
    if limit is None:
        return False
    return 100.0 * failed / len(exits) > float(str(limit).rstrip("%"))


def _size(value: object, total: int) -> int:
    text = str(value)
    if text.endswith("%"):
        return max(math.floor(total * float(text[:-1]) / 100), 1)
    return int(text)
