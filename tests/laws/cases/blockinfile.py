"""Cases of the `blockinfile` kind."""

from __future__ import annotations

from tests.laws.case import Case

_FILE = ["sh", "-c", "printf 'one\\n# BEGIN x\\nold\\n# END x\\nlast' > {dir}/f"]
_MARKER = {"path": "{dir}/f", "marker": "# {mark} x"}

CASES = [
    Case("blockinfile", "replaces", {**_MARKER, "block": "new\nlines\n"}, setup=[_FILE]),
    Case("blockinfile", "removes", {**_MARKER, "state": "absent"}, setup=[_FILE]),
    Case("blockinfile", "in state", {**_MARKER, "block": "old"}, setup=[_FILE], changes=False),
    Case(
        "blockinfile", "inserts", {"path": "{dir}/f", "block": "b", "insertafter": "^one", "append_newline": True},
        setup=[_FILE],
    ),
    Case("blockinfile", "creates", {**_MARKER, "block": "b", "create": True, "mode": "0640"}),
]
