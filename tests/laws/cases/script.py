"""Cases of the `script` kind; the content is what the controller read."""

from __future__ import annotations

from tests.laws.case import Case

_SCRIPT = '#!/bin/sh -e\necho "$1" > "$2"\n'

CASES = [
    Case(
        "script", "creates", {"cmd": "make.sh hello {dir}/made", "content": _SCRIPT, "creates": "{dir}/made"},
        exact=False, kills=False,
    ),
    Case(
        "script", "made already", {"cmd": "make.sh a {dir}/made", "content": _SCRIPT, "creates": "{dir}/made"},
        setup=[["touch", "{dir}/made"]], changes=False,
    ),
]
