"""Cases of the `check_file` kind."""

from __future__ import annotations

from tests.laws.case import Case

CASES = [
    Case(
        "check_file", "a file as it should be", {"path": "{dir}/f", "mode": "0640", "size": {"between": [1, 9]},
                                                 "content": {"matches": "^re"}},
        setup=[["sh", "-c", "echo ready > {dir}/f && chmod 640 {dir}/f"]], changes=False,
    ),
    Case("check_file", "nothing there", {"path": "{dir}/f", "exists": False}, changes=False),
    Case(
        "check_file", "a directory with two of a kind", {"path": "{dir}", "pattern": "*.pt", "entries": 2},
        setup=[["touch", "{dir}/a.pt", "{dir}/b.pt", "{dir}/c"]], changes=False,
    ),
]
