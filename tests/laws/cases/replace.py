"""Cases of the `replace` kind."""

from __future__ import annotations

from tests.laws.case import Case

_FILE = ["sh", "-c", "printf '[a]\\nport=1\\n[b]\\nport=1\\n' > {dir}/f"]

CASES = [
    Case("replace", "everywhere", {"path": "{dir}/f", "regexp": "^port=(\\d)$", "replace": "port=8\\1"}, setup=[_FILE]),
    Case(
        "replace", "in a part", {"path": "{dir}/f", "regexp": "port=1", "replace": "port=2", "after": r"\[b\]"},
        setup=[_FILE],
    ),
    Case("replace", "matches nothing", {"path": "{dir}/f", "regexp": "^host"}, setup=[_FILE], changes=False),
]
