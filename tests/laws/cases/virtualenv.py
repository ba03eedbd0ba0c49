"""Cases of the `virtualenv` kind."""

from __future__ import annotations

import sys

from tests.laws.case import Case

_GONE = ["sed", "-i", "s/^version.*/version = 3.1.0/", "{dir}/v/pyvenv.cfg"]
_OLD = [sys.executable, "-m", "venv", "--without-pip", "{dir}/v"]

CASES = [
    Case("virtualenv", "made", {"path": "{dir}/v", "python": sys.executable}, kills=False),
    Case(
        "virtualenv", "in place of one of another Python", {"path": "{dir}/v", "python": sys.executable},
        setup=[_OLD, _GONE, ["touch", "{dir}/v/kept"]],
    ),
    Case("virtualenv", "another prompt", {"path": "{dir}/v", "prompt": "lab"}, setup=[_OLD]),
    Case("virtualenv", "there already", {"path": "{dir}/v", "python": sys.executable}, setup=[_OLD], changes=False),
]
