"""The `version` test: comparing version numbers, loosely or by a scheme."""

from __future__ import annotations

import operator
import re
from typing import Any

_OPERATORS = {
    "==": operator.eq, "=": operator.eq, "eq": operator.eq, "!=": operator.ne, "<>": operator.ne, "ne": operator.ne,
    "<": operator.lt, "lt": operator.lt, "<=": operator.le, "le": operator.le,
    ">": operator.gt, "gt": operator.gt, ">=": operator.ge, "ge": operator.ge,
}
_SEMANTIC = re.compile(r"(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)(?:-([0-9A-Za-z.-]+))?(?:\+[0-9A-Za-z.-]+)?")
_STRICT = re.compile(r"(\d+)\.(\d+)(?:\.(\d+))?(?:([ab])(\d+))?")
# PEP 440: epoch, release, and what comes before or after it.
_PEP440 = re.compile(
    r"v?(?:(\d+)!)?(\d+(?:\.\d+)*)[-_.]?(?:(a|b|c|rc|alpha|beta|pre|preview)[-_.]?(\d*))?"
    r"(?:-(\d+)|[-_.]?(?:post|rev|r)[-_.]?(\d*))?(?:[-_.]?(dev)[-_.]?(\d*))?(?:\+([a-z0-9]+(?:[-_.][a-z0-9]+)*))?",
    re.IGNORECASE,
)


def version(
    value: Any, other: Any, operator: str = "eq", strict: bool | None = None, version_type: str | None = None
) -> bool:
    """Whether `value` stands in that relation to `other`; `version_type` is loose, strict, semver or pep440."""
    if operator not in _OPERATORS:
        raise ValueError(f"{operator!r} is not a comparison; there are: {', '.join(_OPERATORS)}")
    if strict is not None and version_type is not None:
        raise ValueError("strict and version_type exclude each other")
    if value in (None, "") or other in (None, ""):
        raise ValueError("a version is empty")
    scheme = version_type or ("strict" if strict else "loose")
    schemes = {"loose": _loose, "strict": _strict, "semver": _semantic, "semantic": _semantic, "pep440": _pep440}
    if scheme not in schemes:
        raise ValueError(f"{scheme!r} is not a version type; there are: {', '.join(schemes)}")
    read: Any = schemes[scheme]
    left, right = read(str(value)), read(str(other))
    try:
        return bool(_OPERATORS[operator](left, right))
    except TypeError:
        raise ValueError(f"{value} and {other} cannot be ordered; give version_type") from None


def _loose(text: str) -> list[Any]:
    parts = [part for part in re.split(r"(\d+|[a-z]+|\.)", text) if part and part != "."]
    return [int(part) if part.isdigit() else part for part in parts]


def _strict(text: str) -> tuple[Any, ...]:
    found = _STRICT.fullmatch(text)
    if not found:
        raise ValueError(f"{text!r} is not a strict version such as 1.2.3 or 1.2b1")
    release = tuple(int(part or 0) for part in found.group(1, 2, 3))
    return (*release, (found[4], int(found[5])) if found[4] else ("z", 0))


def _semantic(text: str) -> tuple[Any, ...]:
    found = _SEMANTIC.fullmatch(text)
    if not found:
        raise ValueError(f"{text!r} is not a semantic version such as 1.2.3 or 1.2.3-rc.1")
    release = tuple(int(part) for part in found.group(1, 2, 3))
    # A release comes after all that leads up to it; numbers come before words.
    before = [(0, int(part), "") if part.isdigit() else (1, 0, part) for part in (found[4] or "").split(".")]
    return (release, 1, []) if not found[4] else (release, 0, before)


def _pep440(text: str) -> tuple[Any, ...]:
    found = _PEP440.fullmatch(text.strip())
    if not found:
        raise ValueError(f"{text!r} is not a Python version such as 1.2.3rc1")
    epoch, release, pre, pre_number, post, post_word, dev, dev_number, local = found.groups()
    numbers = [int(part) for part in release.split(".")]
    while len(numbers) > 1 and numbers[-1] == 0:
        numbers.pop()
    has_post = post is not None or post_word is not None
    letter = (pre or "").lower()
    letter = {"alpha": "a", "beta": "b", "c": "rc", "pre": "rc", "preview": "rc"}.get(letter, letter)
    # Order within a release: dev, a, b, rc, the release itself, post.
    stage = letter or ("" if dev and not has_post else "z")
    words = [part for part in re.split(r"[-_.]", (local or "").lower()) if part]
    parts = [(1, "", int(part)) if part.isdigit() else (0, part, 0) for part in words]
    return (
        int(epoch or 0), numbers, stage, int(pre_number or 0), int(post or post_word or 0) if has_post else -1,
        int(dev_number or 0) if dev else float("inf"), parts,
    )
