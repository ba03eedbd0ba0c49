"""Matchers: what a check wants of a value it found, as people write it.

A plain value means `equals`; a mapping of matchers means that all of them hold. Numbers are compared as numbers. A
found text is compared as a version, number by number, and no further than the wanted one goes: 3.12.4 is `le: 3.12`.
"""

from __future__ import annotations

import re
from typing import Any, Iterator, List, Tuple

MATCHERS = ("equals", "contains", "matches", "lt", "le", "gt", "ge", "between")
_ELSEWHERE = {"gte": "ge", "lte": "le", "min": "ge", "max": "le", "eq": "equals", "regex": "matches", "in": "contains"}
"What matchers are called in other languages."
_WORDS = {
    "equals": "be", "contains": "contain", "matches": "match", "lt": "be less than", "le": "be at most",
    "gt": "be more than", "ge": "be at least", "between": "be between",
}


def problems(field: str, wanted: Any) -> Iterator[str]:
    """What is wrong with the matchers of a field, one sentence each."""
    if not isinstance(wanted, dict):
        return
    if not wanted:
        yield f"{field} has no matcher: one of {', '.join(MATCHERS)}"
    for name, value in wanted.items():
        if name not in MATCHERS:
            yield f'{field} has no matcher "{name}"{_near(name)}'
        elif name == "matches":
            try:
                re.compile(str(value))
            except re.error as error:
                yield f"{field}: matches is no regular expression: {error}"
        elif name == "between" and not (isinstance(value, list) and len(value) == 2):
            yield f"{field}: between takes two values, the least and the most"
        elif name in ("lt", "le", "gt", "ge", "between"):
            for one in value if isinstance(value, list) else [value]:
                if isinstance(one, bool) or not re.search(r"\d", str(one)):
                    yield f"{field}: {name} compares numbers or versions, and {one!r} is neither"


def unmet(found: Any, wanted: Any) -> List[str]:
    """What `found` should be and is not, each as `be at least 20`; empty when all holds."""
    matchers = wanted if isinstance(wanted, dict) else {"equals": wanted}
    left = {name: value for name, value in matchers.items() if not _holds(name, found, value)}
    return [f"{_WORDS[name]} {_shown(name, value)}" for name, value in left.items()]


def _holds(name: str, found: Any, wanted: Any) -> bool:
    if name == "equals":
        return _same(found, wanted)
    if name == "contains":
        if isinstance(found, (list, tuple)):
            return any(_same(one, wanted) for one in found)
        return found is not None and str(wanted) in (found if isinstance(found, (str, dict)) else str(found))
    if name == "matches":
        several = found if isinstance(found, list) else [found]
        return any(one is not None and re.search(str(wanted), str(one)) for one in several)
    if found is None or isinstance(found, (list, dict, bool)):
        return False
    if name == "between":
        return _ordered("ge", found, wanted[0]) and _ordered("le", found, wanted[1])
    return _ordered(name, found, wanted)


def _ordered(name: str, found: Any, wanted: Any) -> bool:
    one, other = _comparable(found, wanted)
    if not one:
        return False
    return {"lt": one < other, "le": one <= other, "gt": one > other, "ge": one >= other}[name]


def _comparable(found: Any, wanted: Any) -> Tuple[Tuple[float, ...], Tuple[float, ...]]:
    if isinstance(found, str):
        have, want = _version(found), _version(str(wanted))
        return have[:len(want)], want
    number = re.search(r"-?\d+(\.\d+)?", str(wanted))
    return (float(found),), (float(number[0]) if number else 0.0,)


def _version(text: str) -> Tuple[float, ...]:
    return tuple(float(one) for one in re.findall(r"\d+", text))


def _same(found: Any, wanted: Any) -> bool:
    if isinstance(found, bool) or isinstance(wanted, bool):
        return str(found).lower() == str(wanted).lower()
    if isinstance(found, (int, float)):
        try:
            return float(found) == float(str(wanted))
        except ValueError:
            return False
    return bool(found == wanted) or (not isinstance(found, (list, dict)) and str(found) == str(wanted))


def _shown(name: str, value: Any) -> str:
    if name == "between":
        return f"{value[0]} and {value[1]}"
    if isinstance(value, bool):
        return str(value).lower()
    return f'"{value}"' if isinstance(value, str) and name in ("contains", "matches") else str(value)


def _near(name: str) -> str:
    import difflib

    if name in _ELSEWHERE:
        return f'; write "{_ELSEWHERE[name]}"'
    near = difflib.get_close_matches(name, MATCHERS, n=1, cutoff=0.5)
    return f'; did you mean "{near[0]}"?' if near else f"; there are {', '.join(MATCHERS)}"
