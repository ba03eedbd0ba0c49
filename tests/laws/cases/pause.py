"""Cases of the `pause` kind."""

from __future__ import annotations

from tests.laws.case import Case

CASES = [Case("pause", "a moment", {"seconds": 0.01}, changes=False)]
