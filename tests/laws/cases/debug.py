"""Cases of the `debug` kind."""

from __future__ import annotations

from tests.laws.case import Case

CASES = [Case("debug", "a message", {"msg": "hello"}, changes=False)]
