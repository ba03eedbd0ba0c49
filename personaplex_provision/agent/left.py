"""What a rollback left behind, and what a person can do about it."""

from __future__ import annotations

from typing import Any, Dict, List

from personaplex_provision.agent.record import dataclass


@dataclass
class Left:
    """A step of which something is not taken back: why, and whether that is a failure and no property of the step."""

    name: str
    why: str
    failure: bool


def remaining(left: List[Left], number: int) -> Dict[str, Any]:
    """The diagnostic that says what is left and how a person mends it; `number` is how many steps there were."""
    lines = [f'"{one.name}": {one.why}' for one in left]
    again = "mend what is named, then `provision rollback` goes on with what is left"
    by_hand = "see to what is named by hand: nothing else is left of the run"
    return {"type": "diagnostic", "severity": "error", "detail": "\n".join(lines),
            "summary": f"not everything could be taken back: {len(left)} of {number} steps left something",
            "hint": again if any(one.failure for one in left) else by_hand}
