"""The `check_person` kind."""

from __future__ import annotations

from typing import Any, Dict, Iterator

from personaplex_provision.agent.host import Host
from personaplex_provision.agent.record import dataclass
from personaplex_provision.agent.resources._check import Check

EXAMPLE = """
- name: the voice can be heard
  check_person: Open the web UI, choose a voice, press connect and speak; the answer must come from the speakers.
"""


@dataclass
class CheckPerson(Check):
    """Something that no program can tell: a person is asked to do it. It is listed, and never counts as failed."""

    kind = "check_person"
    free_form = "text"

    text: str
    "What to do, and what must come of it."

    def validate(self) -> Iterator[str]:
        if not self.text.strip():
            yield "text is empty"

    def look(self, host: Host) -> Dict[str, Any]:
        return {}
