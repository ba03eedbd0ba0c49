"""Cases of the `hostname` kind."""

from __future__ import annotations

from tests.laws.case import Case

CASES = [
    Case("hostname", "changed", {"name": "gpu1.lab"}, setup=[["hostname", "before"]], lab=True),
    Case(
        "hostname", "in state", {"name": "gpu2"},
        setup=[["hostname", "gpu2"], ["sh", "-c", "echo gpu2 > /etc/hostname"]], changes=False, lab=True,
    ),
]
