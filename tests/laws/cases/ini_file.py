"""Cases of the `ini_file` kind."""

from __future__ import annotations

from tests.laws.case import Case

_FILE = ["sh", "-c", "printf 'top = 1\\n[a]\\nx = 1\\n; y = 2\\n\\n[b]\\nx=1\\n' > {dir}/f"]

CASES = [
    Case("ini_file", "changes", {"path": "{dir}/f", "section": "a", "option": "x", "value": "2"}, setup=[_FILE]),
    Case("ini_file", "uncomments", {"path": "{dir}/f", "section": "a", "option": "y", "value": "3"}, setup=[_FILE]),
    Case("ini_file", "new section", {"path": "{dir}/f", "section": "c", "option": "x", "value": "2"}, setup=[_FILE]),
    Case("ini_file", "creates", {"path": "{dir}/g", "section": "c", "option": "x", "value": "2", "mode": "0600"}),
    Case("ini_file", "removes", {"path": "{dir}/f", "section": "b", "option": "x", "state": "absent"}, setup=[_FILE]),
    Case("ini_file", "removes a section", {"path": "{dir}/f", "section": "a", "state": "absent"}, setup=[_FILE]),
    Case(
        "ini_file", "in state", {"path": "{dir}/f", "section": "a", "option": "x", "value": "1"},
        setup=[_FILE], changes=False,
    ),
]
