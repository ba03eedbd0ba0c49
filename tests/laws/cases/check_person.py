"""Cases of the `check_person` kind."""

from __future__ import annotations

from tests.laws.case import Case

CASES = [Case("check_person", "someone listens", {"text": "Listen: a voice must be heard."}, changes=False)]
