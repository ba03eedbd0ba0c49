"""The `set_fact` kind."""

from __future__ import annotations

from typing import Any, Dict, List

from personaplex_provision.agent.host import Host
from personaplex_provision.agent.record import dataclass, field
from personaplex_provision.agent.resources._effectless import Effectless

EXAMPLE = """
- name: where the model lies
  set_fact:
    model_path: "/srv/models/{{ model }}"
"""


@dataclass
class SetFact(Effectless):
    """Variables that later tasks of the host see; the controller binds them.

    It changes nothing on the host, so there is nothing to take back.
    """

    kind = "set_fact"
    open_ended = True
    probe = True

    names: List[str] = field(default_factory=list)
    "Names of the variables; filled in from the parameters, each of which is one variable."

    def result(self, now: Any, after: Any, host: Host) -> Dict[str, Any]:
        return {"names": list(self.names)}
