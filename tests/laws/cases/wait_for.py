"""Cases of the `wait_for` kind."""

from __future__ import annotations

from tests.laws.case import Case

CASES = [
    Case(
        "wait_for", "a file that says something", {"path": "{dir}/f", "search_regex": "^read(.)", "timeout": 1},
        setup=[["sh", "-c", "echo ready > {dir}/f"]], changes=False,
    ),
    Case("wait_for", "a path that is gone", {"path": "{dir}/f", "state": "absent", "timeout": 1}, changes=False),
    Case("wait_for", "a port nobody listens on", {"port": 1, "state": "stopped", "timeout": 1}, changes=False),
]
