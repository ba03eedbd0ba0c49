"""The `pause` kind."""

from __future__ import annotations

import time
from typing import Any, Dict, Iterator

from personaplex_provision.agent.host import Host
from personaplex_provision.agent.record import dataclass
from personaplex_provision.agent.resources._effectless import Effectless

EXAMPLE = """
- name: the service warms up
  pause:
    seconds: 20
"""


@dataclass
class Pause(Effectless):
    """Waits for a while, or for a person to go on.

    It changes nothing, so there is nothing to take back.
    """

    kind = "pause"

    seconds: float | None = None
    "How long to wait, in seconds."
    minutes: float | None = None
    "How long to wait, in minutes."
    prompt: str | None = None
    "What the person is asked at the controller; without a duration the answer is waited for."
    echo: bool = True
    "Whether what the person types is shown."

    def validate(self) -> Iterator[str]:
        if self.seconds is not None and self.minutes is not None:
            yield "seconds and minutes exclude each other"
        if (self.seconds or 0) < 0 or (self.minutes or 0) < 0:
            yield "seconds and minutes cannot be negative"

    def result(self, now: Any, after: Any, host: Host) -> Dict[str, Any]:
        """Waits, since this is the one place that is passed exactly once when the task is carried out."""
        began = time.time()
        left = self.seconds if self.seconds is not None else (self.minutes or 0) * 60
        if not host.planning:
            if left >= 5:
                host.progress(f"waiting {left:g} seconds")
            time.sleep(left)
        took = round(time.time() - began, 2)
        unit, amount = ("minutes", took / 60) if self.minutes is not None else ("seconds", took)
        return {"delta": int(took), "stdout": f"Paused for {amount:g} {unit}", "user_input": ""}
