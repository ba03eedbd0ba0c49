"""Cases of the `check_command` kind."""

from __future__ import annotations

from tests.laws.case import Case

CASES = [Case("check_command", "it says what it should", {"argv": ["echo", "ready"], "stdout": "ready"}, changes=False)]
