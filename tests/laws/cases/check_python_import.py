"""Cases of the `check_python_import` kind."""

from __future__ import annotations

from tests.laws.case import Case

CASES = [
    Case(
        "check_python_import", "a module and what it says",
        {"modules": ["json"], "expression": "json.dumps([1])", "value": "[1]"}, changes=False,
    ),
]
