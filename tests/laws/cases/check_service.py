"""Cases of the `check_service` kind."""

from __future__ import annotations

from tests.laws.case import Case

CASES = [Case("check_service", "it runs", {"name": "ssh", "restarts": 0}, changes=False, lab=True)]
