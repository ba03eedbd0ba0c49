"""Cases of the `stat` kind."""

from __future__ import annotations

from tests.laws.case import Case

CASES = [
    Case("stat", "a file", {"path": "{dir}/f"}, setup=[["cp", "/etc/hostname", "{dir}/f"]], changes=False),
    Case("stat", "nothing", {"path": "{dir}/none"}, changes=False),
    Case("stat", "a link", {"path": "{dir}/l"}, setup=[["ln", "-s", "none", "{dir}/l"]], changes=False),
]
