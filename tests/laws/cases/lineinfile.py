"""Cases of the `lineinfile` kind."""

from __future__ import annotations

from tests.laws.case import Case

_FILE = ["sh", "-c", "printf '#A no\\nB 1\\nC' > {dir}/f; chmod 0600 {dir}/f"]

CASES = [
    Case("lineinfile", "replaces", {"path": "{dir}/f", "regexp": "^#?A ", "line": "A yes"}, setup=[_FILE]),
    Case("lineinfile", "appends", {"path": "{dir}/f", "line": "D", "validate": "grep -q D %s"}, setup=[_FILE]),
    Case("lineinfile", "removes", {"path": "{dir}/f", "regexp": "^B", "state": "absent"}, setup=[_FILE]),
    Case("lineinfile", "creates", {"path": "{dir}/new/f", "line": "D", "create": True, "mode": "0600"}),
    Case("lineinfile", "in state", {"path": "{dir}/f", "line": "B 1"}, setup=[_FILE], changes=False),
    Case("lineinfile", "gone from nowhere", {"path": "{dir}/f", "line": "B", "state": "absent"}, changes=False),
    Case(
        "lineinfile", "behind a link", {"path": "{dir}/l", "line": "B 2", "insertbefore": "^B", "mode": "0644"},
        setup=[_FILE, ["ln", "-s", "f", "{dir}/l"]],
    ),
]
