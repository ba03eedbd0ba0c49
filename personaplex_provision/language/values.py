"""Values that are not there yet: references to what a task will have registered.

Secrets are `agent.values.Secret`. Both travel unopened inside dicts and lists; a template that touches one becomes
one (see `language.templates`).
"""

from __future__ import annotations

from typing import Any

from personaplex_provision.agent.record import dataclass
from personaplex_provision.agent.values import Secret

__all__ = ["Pending", "Secret", "Unknown", "contains_unknown", "find_unknown"]


@dataclass(frozen=True)
class Unknown:
    """A value known only after the task at `address` has run; `why` is what the plan prints beside `?`."""

    address: str
    why: str = ""

    def __str__(self) -> str:
        return "(known after apply)"


class Pending(Exception):
    """Raised while rendering when an Unknown is touched; carries it."""

    def __init__(self, unknown: Unknown) -> None:
        super().__init__(str(unknown))
        self.unknown = unknown


def find_unknown(value: Any) -> Unknown | None:
    """The first Unknown anywhere inside `value`."""
    if isinstance(value, Unknown):
        return value
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, (list, tuple)):
        for item in value:
            found = find_unknown(item)
            if found is not None:
                return found
    return None


def contains_unknown(value: Any) -> bool:
    """Whether an Unknown is anywhere inside `value`."""
    return find_unknown(value) is not None
