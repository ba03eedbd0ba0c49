"""How spoilt input is tried: so many edits of each sort, the same in every run."""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from personaplex_provision.cli.main import main
from tests.lab.fingerprint import Fingerprinter, difference
from tests.proofs.mutations import EDITS

ALL = 10_000
INPUTS = int(os.environ.get("PROVISION_FUZZ", "1500"))
"How many inputs in all."
INVALID = (0, 2, 7, 10, 64, 65, 66, 78)
"What a command that only reads may answer with."

Test = Callable[..., Any]
Tried = dict[str, int]
"Sort of input -> how many were tried."


def fuzzed(share: int) -> Callable[[Test], Test]:
    """Calls a test with as many edits as `share` of ten thousand is of all inputs."""
    chosen = settings(
        max_examples=max(1, INPUTS * share // ALL), derandomize=True, database=None, report_multiple_bugs=False,
        # A hang is what is looked for, not a slow machine.
        deadline=timedelta(seconds=30), suppress_health_check=list(HealthCheck),
    )

    def decorate(test: Test) -> Test:
        found: Test = chosen(given(edits=EDITS, seed=st.integers(0, 7))(test))
        return found

    return decorate


class Commands:
    """The command line in a directory of its own, which must be as it was after each command."""

    def __init__(self, folder: Path, capture: pytest.CaptureFixture[str], tried: Tried) -> None:
        self.folder = folder
        self.capture = capture
        self.tried = tried

    def answer(self, sort: str, name: str, content: bytes, *words: str) -> str:
        """Runs a command on a spoilt file: it answers in our words and changes nothing. What it said."""
        self.tried[sort] = self.tried.get(sort, 0) + 1
        (self.folder / name).write_bytes(content)
        before = Fingerprinter().of(self.folder)
        code = main(list(words))
        said = "".join(self.capture.readouterr())
        assert code in INVALID and "Traceback" not in said and "internal error" not in said, (code, said)
        assert code in (0, 2) or said.strip(), "refused without a word"
        assert difference(before, Fingerprinter().of(self.folder)) == []
        return said
