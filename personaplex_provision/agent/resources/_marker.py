"""Markers of requirements (`python_version >= "3.10" and extra == "gpu"`), as PEP 508 has them."""

from __future__ import annotations

import os
import re
from typing import Any, Callable, Dict, FrozenSet, List

from personaplex_provision.agent.resources._pep440 import parse_version, satisfies

_TOKEN = re.compile(r"\s*(\(|\)|===|~=|==|!=|<=|>=|<|>|not\s+in\b|in\b|and\b|or\b|'[^']*'|\"[^\"]*\"|[A-Za-z_.]+)")


def holds(marker: str, environment: Dict[str, str], extras: FrozenSet[str] = frozenset()) -> bool:
    """Whether a marker is true for an interpreter, with any of `extras`. Raises ValueError."""
    if not marker:
        return True
    return any(_Marker(marker, {**environment, "extra": extra}).value() for extra in sorted(extras) or [""])


def environment_of(version: str) -> Dict[str, str]:
    """What markers are evaluated with for a CPython of `version` (3.11.4) on this machine."""
    machine = os.uname()
    return {
        "python_version": ".".join(version.split(".")[:2]), "python_full_version": version,
        "os_name": "posix", "sys_platform": "linux", "platform_system": machine.sysname,
        "platform_machine": machine.machine, "platform_release": machine.release, "platform_version": machine.version,
        "platform_python_implementation": "CPython", "implementation_name": "cpython",
        "implementation_version": version,
    }


class _Marker:
    """A marker read by recursive descent: or, and, comparison."""

    def __init__(self, text: str, environment: Dict[str, str]) -> None:
        self.text = text
        self.environment = environment
        self.tokens: List[str] = []
        at = 0
        while at < len(text.rstrip()):
            found = _TOKEN.match(text, at)
            if found is None:
                raise ValueError(f"the marker {text.strip()} is not understood")
            self.tokens.append(re.sub(r"\s+", " ", found[1]))
            at = found.end()

    def value(self) -> bool:
        """Whether the marker is true."""
        found = self._chain("or", lambda: self._chain("and", self._atom))
        if self.tokens:
            raise ValueError(f"the marker {self.text.strip()} is not understood")
        return found

    def _chain(self, word: str, part: Callable[[], bool]) -> bool:
        found = [part()]
        while self.tokens and self.tokens[0] == word:
            self.tokens.pop(0)
            found.append(part())
        return any(found) if word == "or" else all(found)

    def _atom(self) -> bool:
        if self._next() == "(":
            self.tokens.pop(0)
            found = self._chain("or", lambda: self._chain("and", self._atom))
            if self._next() != ")":
                raise ValueError(f"the marker {self.text.strip()} is not understood")
            self.tokens.pop(0)
            return found
        left, operator, right = self._word(), self._take(), self._word()
        return _compare(left, operator, right)

    def _next(self) -> str:
        return self.tokens[0] if self.tokens else ""

    def _take(self) -> str:
        if not self.tokens:
            raise ValueError(f"the marker {self.text.strip()} is not understood")
        return self.tokens.pop(0)

    def _word(self) -> str:
        token = self._take()
        if token[0] in "'\"":
            return token[1:-1]
        name = token.replace(".", "_") if token not in self.environment else token
        if name not in self.environment:
            raise ValueError(f"the marker {self.text.strip()} speaks of {token}, which is not known")
        return self.environment[name]


def _compare(left: str, operator: str, right: str) -> bool:
    if operator in ("in", "not in"):
        return (left in right) == (operator == "in")
    plain = right[:-2] if right.endswith(".*") else right
    if parse_version(left) is not None and parse_version(plain) is not None:
        return satisfies(left, f"{operator}{right}")
    compared: Dict[str, Any] = {
        "==": left == right, "===": left == right, "!=": left != right, "<": left < right, "<=": left <= right,
        ">": left > right, ">=": left >= right,
    }
    if operator not in compared:
        raise ValueError(f"{left} {operator} {right} cannot be compared")
    return bool(compared[operator])
