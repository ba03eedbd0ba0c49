"""The regular expressions of modules, as code that was made of them before: making it takes a tenth of a start.

Only of modules: those that are compiled while one is being imported, or put off by one. What a playbook brings may be
a secret, and is never kept.
"""

from __future__ import annotations

import re
import sys
from typing import Any

MANY = 1000
"Expressions above which those of earlier commands are forgotten."
_COMMAND = "personaplex_provision.cli.main"
_PUT_OFF = "personaplex_provision.language.patterns_later"
_Key = tuple["str | bytes", int]
_Made = tuple[int, bytes, int, dict[str, int], tuple["str | None", ...]]
"""Flags, code, and how many groups there are, by name and by number."""


class Expressions:
    """Stands between `re` and its compiler; lives as long as the process."""

    def __init__(self, kept: dict[_Key, _Made]) -> None:
        self.kept = kept
        self._fresh: dict[_Key, re.Pattern[Any]] = {}
        # Private, and elsewhere before Python 3.11: there, or if ever they move, all stays as it is.
        self._compiler: Any = sys.modules.get("re._compiler")
        self._compile: Any = getattr(self._compiler, "compile", None)

    def use(self) -> None:
        """Has what is kept taken from here."""
        if self._compile is not None:
            self._compiler.compile = self.compile

    def compile(self, pattern: Any, flags: int = 0) -> Any:
        """What the compiler of `re` would give."""
        if type(pattern) not in (str, bytes):
            return self._compile(pattern, flags)
        made = self.kept.get((pattern, flags))
        if made is not None:
            return self._made(pattern, made)
        found = self._compile(pattern, flags)
        if not flags & re.DEBUG and _of_module():
            self._fresh[pattern, flags] = found
        return found

    def all(self) -> dict[_Key, _Made]:
        """What is to be kept for the next start."""
        found = {} if len(self.kept) > MANY else dict(self.kept)
        for (pattern, flags), compiled in list(self._fresh.items()):
            try:
                made = self._taken_apart(pattern, flags)
                if self._made(pattern, made) == compiled:
                    found[pattern, flags] = made
            except (AttributeError, TypeError, ValueError):
                continue  # another Python, which has another compiler
        return found

    def _made(self, pattern: str | bytes, made: _Made) -> Any:
        flags, code, *groups = made
        return self._compiler._sre.compile(pattern, flags, memoryview(code).cast("I").tolist(), *groups)

    def _taken_apart(self, pattern: str | bytes, flags: int) -> _Made:
        parsed = self._compiler._parser.parse(pattern, flags)
        code = b"".join([int(one).to_bytes(4, sys.byteorder) for one in self._compiler._code(parsed, flags)])
        named = parsed.state.groupdict
        numbered: list[str | None] = [None] * parsed.state.groups
        for name, number in named.items():
            numbered[number] = name
        return flags | parsed.state.flags, code, parsed.state.groups - 1, dict(named), tuple(numbered)


def _of_module() -> bool:
    """Whether a module is being imported, or asks for what it put off."""
    frame: Any = sys._getframe(2)
    while frame is not None:
        name = frame.f_globals.get("__name__")
        if name == _PUT_OFF:
            return True
        if name in (_COMMAND, "__main__"):  # who called that may be a module too
            return False
        if frame.f_code.co_name == "<module>":
            return True
        frame = frame.f_back
    return False
