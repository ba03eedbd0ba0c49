"""Cases of the `template` kind; the content is what the controller rendered."""

from __future__ import annotations

from tests.laws.case import Case

CASES = [
    Case("template", "new file", {"dest": "{dir}/f", "content": "key = value\n", "mode": "0640"}),
    Case(
        "template", "changed", {"dest": "{dir}/f", "content": "key = value\n", "validate": "grep -q key %s"},
        setup=[["sh", "-c", "echo other > {dir}/f"]],
    ),
    Case(
        "template", "in state", {"dest": "{dir}/f", "content": "key\n"},
        setup=[["sh", "-c", "echo key > {dir}/f"]], changes=False,
    ),
]
