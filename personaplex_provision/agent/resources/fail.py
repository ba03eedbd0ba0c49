"""The `fail` kind."""

from __future__ import annotations

from typing import Any

from personaplex_provision.agent.host import Host
from personaplex_provision.agent.record import dataclass
from personaplex_provision.agent.resource import ResourceError
from personaplex_provision.agent.resources._effectless import Effectless

EXAMPLE = """
- name: only amd64 is supported
  fail:
    msg: "{{ ansible_architecture }} is not supported"
  when: ansible_architecture != 'x86_64'
"""


@dataclass
class Fail(Effectless):
    """Fails, with a message; a `when` says in which case. One that is known to fail shows in the plan.

    It changes nothing, so there is nothing to take back.
    """

    kind = "fail"
    probe = True

    msg: str = "Failed as requested from task"
    "What is said."

    def observe(self, host: Host) -> Any:
        raise ResourceError(self.msg, result={"msg": self.msg})
