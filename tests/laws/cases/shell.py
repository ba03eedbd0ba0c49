"""Cases of the `shell` kind."""

from __future__ import annotations

from tests.laws.case import Case

CASES = [
    Case("shell", "creates", {"cmd": "echo a > {dir}/made && id", "creates": "{dir}/made"}, exact=False, kills=False),
    Case(
        "shell", "made already", {"cmd": "false", "creates": "{dir}/made"},
        setup=[["touch", "{dir}/made"]], changes=False,
    ),
]
