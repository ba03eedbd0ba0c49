"""Cases of the `check_process` kind."""

from __future__ import annotations

from tests.laws.case import Case

CASES = [Case("check_process", "there is an init", {"pattern": ".", "count": {"ge": 1}}, changes=False)]
