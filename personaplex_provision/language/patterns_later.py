"""Libraries whose regular expressions are compiled when they are used; some are large, and never used here."""

from __future__ import annotations

import contextlib
import re
import sys
import threading
from collections.abc import Iterator
from types import ModuleType
from typing import Any


class Pattern:
    """A regular expression that is compiled when something is asked of it."""

    def __init__(self, *args: Any, **options: Any) -> None:
        self._args, self._options = args, options

    def __getattr__(self, name: str) -> Any:
        found = getattr(re.compile(*self._args, **self._options), name)
        setattr(self, name, found)
        return found


@contextlib.contextmanager
def patterns_later() -> Iterator[None]:
    """For the import of a library, inside the block, that only ever calls methods of its patterns."""
    stand: Any = ModuleType("re")
    vars(stand).update(vars(re))
    ours: set[int] = {threading.get_ident()}

    def compile_(*args: Any, **options: Any) -> Any:
        # What another thread imports meanwhile gets the stand too, and may do anything with its patterns.
        return Pattern(*args, **options) if threading.get_ident() in ours else re.compile(*args, **options)

    stand.compile = compile_
    sys.modules["re"] = stand
    try:
        yield
    finally:
        sys.modules["re"] = re
        ours.clear()
