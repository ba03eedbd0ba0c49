"""Cases of the `command` kind."""

from __future__ import annotations

from tests.laws.case import Case

CASES = [
    Case("command", "creates", {"cmd": "touch {dir}/made", "creates": "{dir}/made"}, exact=False, kills=False),
    Case(
        "command", "made already", {"argv": ["touch", "{dir}/other"], "creates": "{dir}/ma*"},
        setup=[["touch", "{dir}/made"]], changes=False,
    ),
    Case("command", "nothing to remove", {"cmd": "false", "removes": "{dir}/none"}, changes=False),
    Case(
        "command", "reads its input", {"argv": ["tee", "out"], "chdir": "{dir}", "stdin": "x", "creates": "out"},
        exact=False, kills=False,
    ),
]
