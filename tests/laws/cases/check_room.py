"""Cases of the `check_room` kind."""

from __future__ import annotations

from tests.laws.case import Case

PURPOSE = {"path": "{dir}/later", "gib": 0, "what": "nothing"}
CASES = [Case("check_room", "nothing is to come", {"purposes": [PURPOSE]}, changes=False)]
