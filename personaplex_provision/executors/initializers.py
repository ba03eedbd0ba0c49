"""`agent/initializers.py` with something in it: the `__init__` of records, compiled ahead of their use."""

from __future__ import annotations

import contextlib
import importlib
import marshal
from collections.abc import Iterable, Mapping
from typing import Any

MODULE = "personaplex_provision.agent.initializers"
Known = Mapping[tuple[str, str], Any]


def of_records(modules: Iterable[str]) -> Known:
    """Those of every record that these modules define."""
    found: dict[tuple[str, str], Any] = {}
    for name in modules:
        with contextlib.suppress(ImportError):  # of what only hosts have
            for one in list(vars(importlib.import_module(name)).values()):
                if isinstance(one, type) and one.__module__ == name:
                    shape = getattr(vars(one).get("__dataclass_fields__"), "shape", None)
                    if shape is not None:
                        title, text, _ = shape.written()
                        found[title, text] = compile(text, title, "exec")
    return found


def text(known: Known) -> str:
    """The module."""
    # Version 2 of the format has no references, so equal code gives equal bytes on every run.
    marshalled = {key: code if isinstance(code, bytes) else marshal.dumps(code, 2) for key, code in dict(known).items()}
    return f"KNOWN = {marshalled!r}\n"
