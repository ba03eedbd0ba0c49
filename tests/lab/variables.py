"""The extra variables that point a playbook at the lab's stand-ins: facts of the lab on the right, names of the roles
on the left. Who changes a role's variables changes this file, and nothing else of the lab."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .lab import Lab


def variables(lab: Lab) -> dict[str, object]:
    """Extra variables for a playbook that runs against `lab`."""
    return {"lab_gateway": lab.network.gateway}
