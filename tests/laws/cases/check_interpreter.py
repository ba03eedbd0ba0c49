"""Cases of the `check_interpreter` kind."""

from __future__ import annotations

from tests.laws.case import Case

CASES = [
    Case(
        "check_interpreter", "a version", {"path": "python3", "version": {"ge": "3.9"}, "extensions": ["zlib"]},
        changes=False,
    ),
]
