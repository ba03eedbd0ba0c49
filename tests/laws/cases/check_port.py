"""Cases of the `check_port` kind."""

from __future__ import annotations

from tests.laws.case import Case

CASES = [Case("check_port", "nobody listens", {"port": 1, "state": "free"}, changes=False)]
