"""Cases of the `assert` kind; `results` is what the conditions gave on the controller."""

from __future__ import annotations

from tests.laws.case import Case

CASES = [Case("assert", "holds", {"that": ["a == 1", "b"], "results": [True, True]}, changes=False)]
