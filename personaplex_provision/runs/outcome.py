"""How a host and a whole run ended, and the exit code that says so."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from personaplex_provision.agent.record import dataclass, field

WORST = (1, 130, 143, 9, 4, 3, 6, 5, 8, 7, 10, 2, 0)
"""Exit codes, the worst first; interface.md gives the order of those that hosts can differ in."""


@dataclass
class HostOutcome:
    """Counts of one host; `exit` is its own exit code."""

    ok: int = 0
    changed: int = 0
    failed: int = 0
    blocked: int = 0
    skipped: int = 0
    unreachable: bool = False
    exit: int = 0
    pending: int = 0
    "Changes a plan found."
    unknown: int = 0
    "Steps a plan could not decide."
    classes: dict[str, int] = field(default_factory=dict)
    "Steps that will or may change something, by rollback class; `unknown` for what may hold several."
    space: list[dict[str, Any]] = field(default_factory=list)
    "What the plan takes of each file system of the host, as the agent's `Space.report` has it."

    def count(self, outcome: str) -> None:
        """One more task that ended so."""
        if outcome in ("ok", "changed", "failed", "blocked", "skipped"):
            setattr(self, outcome, getattr(self, outcome) + 1)

    def as_json(self) -> dict[str, object]:
        """The object of the summary event."""
        names = ("ok", "changed", "failed", "blocked", "skipped", "unreachable")
        return {name: getattr(self, name) for name in names}


def worst(codes: Iterable[int]) -> int:
    """The exit code of a run whose hosts ended with `codes`."""
    found = set(codes) or {0}
    return next((code for code in WORST if code in found), 1)
