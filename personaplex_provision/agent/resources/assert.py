"""The `assert` kind."""

from __future__ import annotations

from typing import Any, Dict, Iterator, List

from personaplex_provision.agent.host import Host
from personaplex_provision.agent.record import dataclass, field
from personaplex_provision.agent.resource import ResourceError
from personaplex_provision.agent.resources._effectless import Effectless

EXAMPLE = """
- name: the GPU has memory enough
  assert:
    that:
      - gpu_memory_gib | int >= 24
    fail_msg: the model needs 24 GiB of GPU memory
"""


@dataclass
class Assert(Effectless):
    """Conditions that must hold, or the task fails; those that are known while planning fail the plan.

    It changes nothing, so there is nothing to take back.
    """

    kind = "assert"
    aliases = {"msg": "fail_msg"}
    probe = True

    that: List[str] = field(default_factory=list)
    "The conditions, as expressions."
    results: List[bool] = field(default_factory=list)
    "What the conditions gave, in their order; filled in when they are evaluated."
    fail_msg: str | None = None
    "What is said when a condition does not hold."
    success_msg: str | None = None
    "What is said when all hold."
    quiet: bool = False
    "Whether the conditions stay out of the result."

    def validate(self) -> Iterator[str]:
        if not self.that:
            yield "that is empty: it lists the conditions"

    def observe(self, host: Host) -> Assert:
        for condition, held in zip(self.that, self.results):
            if not held:
                said = {"assertion": condition, "evaluated_to": False, "failed": True}
                raise ResourceError(
                    self.fail_msg or "Assertion failed", f"this does not hold: {condition}",
                    result={**said, "msg": self.fail_msg or "Assertion failed"},
                )
        return self

    def result(self, now: Any, after: Any, host: Host) -> Dict[str, Any]:
        found: Dict[str, Any] = {"msg": self.success_msg or "All assertions passed"}
        return found if self.quiet else {**found, "assertions": list(self.that)}
