"""Cases of the `set_fact` kind."""

from __future__ import annotations

from tests.laws.case import Case

CASES = [Case("set_fact", "two names", {"names": ["a", "b"]}, changes=False)]
