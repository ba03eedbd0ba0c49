"""Cases of the `check_memory` kind."""

from __future__ import annotations

from tests.laws.case import Case

CASES = [Case("check_memory", "some", {"total_gib": {"gt": 0.1}}, changes=False)]
