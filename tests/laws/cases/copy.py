"""Cases of the `copy` kind."""

from __future__ import annotations

from tests.laws.case import Case

_OLD = ["sh", "-c", "printf 'old\\n' > {dir}/f; chmod 0640 {dir}/f"]

CASES = [
    Case("copy", "new file", {"dest": "{dir}/f", "content": "one\ntwo\n", "mode": "0600"}),
    Case("copy", "changed content keeps the mode", {"dest": "{dir}/f", "content": "new\n"}, setup=[_OLD]),
    Case("copy", "only the mode", {"dest": "{dir}/f", "content": "old\n", "mode": "u=rwx,go="}, setup=[_OLD]),
    Case("copy", "in state", {"dest": "{dir}/f", "content": "old\n", "mode": "0640"}, setup=[_OLD], changes=False),
    Case("copy", "not forced", {"dest": "{dir}/f", "content": "new\n", "force": False}, setup=[_OLD], changes=False),
    Case(
        "copy", "remote source", {"dest": "{dir}/to/", "src": "{dir}/f", "remote_src": True, "mode": "preserve"},
        setup=[_OLD],
    ),
    Case(
        "copy", "in place of a link", {"dest": "{dir}/l", "content": "x", "backup": True},
        setup=[_OLD, ["ln", "-s", "f", "{dir}/l"]],
    ),
    Case(
        "copy", "through a link with a copy kept",
        {"dest": "{dir}/l", "content": "x", "backup": True, "follow": True, "validate": "grep -q x %s"},
        setup=[_OLD, ["ln", "-s", "f", "{dir}/l"]],
    ),
]
