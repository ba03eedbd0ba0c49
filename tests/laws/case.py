"""An example of a kind, held to the laws: where it starts from and what is asked for."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Case:
    """`{dir}` in any text stands for a scratch directory; lab cases start from a fresh host as root."""

    kind: str
    id: str
    params: dict[str, Any]
    "As a user writes them in YAML."
    setup: list[list[str]] = field(default_factory=list)
    "Commands (argument lists) that make the state to start from."
    lab: bool = False
    "Needs a lab host (root, packages, services); otherwise it runs in a scratch directory of this machine."
    exact: bool = True
    "Whether rollback puts back every path; False for kinds of class best-effort or irreversible."
    changes: bool = True
    "Whether the case changes anything (False for one that is in state from the start)."
    kills: bool = True
    "Whether law 6 kills it at every operation (False where a kill in the middle of a command proves nothing)."
