"""Cases of the `file` kind."""

from __future__ import annotations

from tests.laws.case import Case

CASES = [
    Case("file", "directory with parents", {"path": "{dir}/a/b", "state": "directory", "mode": "0750"}),
    Case("file", "touch", {"path": "{dir}/new", "state": "touch", "mode": "u=rw,g=,o="}),
    Case(
        "file", "symbolic mode", {"path": "{dir}/x", "mode": "u=rwX,g=rX,o="},
        setup=[["install", "-m", "0666", "/dev/null", "{dir}/x"]],
    ),
    Case(
        "file", "recurse", {"path": "{dir}/t", "state": "directory", "mode": "u=rwX,g=rX,o=", "recurse": True},
        setup=[["mkdir", "-p", "{dir}/t/u"], ["install", "-m", "0777", "/dev/null", "{dir}/t/u/f"]],
    ),
    Case("file", "link", {"path": "{dir}/l", "src": "f", "state": "link"}, setup=[["touch", "{dir}/f"]]),
    Case(
        "file", "link into nothing",
        {"path": "{dir}/l", "src": "none", "state": "link", "force": True, "mode": "0600"},
    ),
    Case(
        "file", "link instead of a file", {"path": "{dir}/l", "src": "{dir}/f", "state": "link", "force": True},
        setup=[["touch", "{dir}/f"], ["cp", "/etc/hostname", "{dir}/l"]],
    ),
    Case("file", "hard link", {"path": "{dir}/l", "src": "{dir}/f", "state": "hard"}, setup=[["touch", "{dir}/f"]]),
    Case(
        "file", "absent tree", {"path": "{dir}/t", "state": "absent"},
        setup=[["mkdir", "-p", "{dir}/t/u"], ["cp", "/etc/hostname", "{dir}/t/u/f"], ["ln", "-s", "/etc", "{dir}/t/e"]],
    ),
    Case("file", "absent already", {"path": "{dir}/none/at/all", "state": "absent"}, changes=False),
    Case(
        "file", "through a link", {"path": "{dir}/l", "state": "directory", "mode": "0700"},
        setup=[["mkdir", "-m", "0755", "{dir}/d"], ["ln", "-s", "d", "{dir}/l"]],
    ),
    Case(
        "file", "in state", {"path": "{dir}/f", "state": "file", "mode": "0640"},
        setup=[["install", "-m", "0640", "/dev/null", "{dir}/f"]], changes=False,
    ),
]
