"""Cases of the `check_disk` kind."""

from __future__ import annotations

from tests.laws.case import Case

CASES = [Case("check_disk", "what is not there yet", {"path": "{dir}/later/on", "size_gib": {"gt": 0}}, changes=False)]
