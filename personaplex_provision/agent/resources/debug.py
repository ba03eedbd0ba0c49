"""The `debug` kind."""

from __future__ import annotations

from typing import Any, Dict, Iterator

from personaplex_provision.agent.host import Host
from personaplex_provision.agent.record import dataclass
from personaplex_provision.agent.resources._effectless import Effectless

EXAMPLE = """
- name: which model is served
  debug:
    msg: "serving {{ model }} on {{ inventory_hostname }}"
"""


@dataclass
class Debug(Effectless):
    """A message, or the value of a variable, for the person who watches.

    It changes nothing, so there is nothing to take back.
    """

    kind = "debug"
    free_form = "msg"
    probe = True

    msg: str | None = None
    "The message."
    var: str | None = None
    "Variable or expression whose value is shown."
    verbosity: int = 0
    "How many `-v` it takes for the message to be shown."

    def validate(self) -> Iterator[str]:
        if self.msg is not None and self.var is not None:
            yield "msg and var exclude each other"

    def result(self, now: Any, after: Any, host: Host) -> Dict[str, Any]:
        return {"msg": self.msg if self.msg is not None else self.var or "Hello world!", "verbosity": self.verbosity}
