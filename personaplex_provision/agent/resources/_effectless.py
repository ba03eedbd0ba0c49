"""Base of the kinds that change nothing: they look, wait, say something or refuse to go on."""

from __future__ import annotations

from typing import Any, List

from personaplex_provision.agent.host import Host
from personaplex_provision.agent.resource import Address, Change, Resource


class Effectless(Resource):
    """A node without effects: it is always in state."""

    reversible_why = "It changes nothing, so there is nothing to take back."

    def observe(self, host: Host) -> Any:
        return self

    def diff(self, now: Any) -> List[Change]:
        return []

    def converge(self, now: Any, host: Host) -> None:
        """Nothing to do."""

    def provides(self) -> List[Address]:
        return []

    def needs(self) -> List[Address]:
        return []
