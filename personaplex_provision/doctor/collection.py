"""What a bug report needs from hosts: the doctor's findings, and what a list of programs say there."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

from personaplex_provision.doctor.examination import Examination, Examined
from personaplex_provision.errors import ProvisionError
from personaplex_provision.runs.conversation import Event
from personaplex_provision.runs.part import Part
from personaplex_provision.runs.project import Project


class Collected(Examined):
    """One host from which files are collected."""

    def __init__(self, *given: Any, **named: Any) -> None:
        super().__init__(*given, **named)
        self.files: dict[str, str] = {}
        "Name in the bundle -> text."

    def verify(self, part: Part, tags: frozenset[str], skip_tags: frozenset[str]) -> None:
        for address, task in part.graph.tasks.items():
            if task.role == "bundle":
                part.graph.tasks[address] = task = copy.copy(task)
                task.register = "file"  # so that what the program says comes here
        super().verify(part, tags, skip_tags)

    def _heard(self, event: Event) -> list[Event]:
        task = self._names.get(event.get("task", ""))
        if event["type"] == "task_end" and task is not None and task.role == "bundle":
            self.files[task.name] = _text(event)
            return []  # collected, and not judged
        return super()._heard(event)

    def history(self) -> list[Event]:
        """The runs recorded on the host; none when they cannot be read."""
        try:
            return self.runs()
        except ProvisionError:
            return []


class Collection(Examination):
    """All hosts of `provision bundle`."""

    make = Collected

    def __init__(self, project: Project, report: Callable[[Event], None]) -> None:
        super().__init__(project, report)
        self.history: dict[str, list[Event]] = {}

    def collect(self) -> int:
        """Asks every host; 0 when all could be asked. Raises InvalidError."""
        code = self.examine()
        for name, host in self.hosts.items():
            if isinstance(host, Collected) and not host.outcome.unreachable:
                self.history[name] = host.history()
        return code


def _text(event: Event) -> str:
    """What a program said, and how it ended where that was not well."""
    result = event.get("result") or {}
    said = "\n".join(str(result[one]) for one in ("stdout", "stderr") if result.get(one))
    told = event.get("diagnostic", {}).get("summary", "")
    if told or event.get("reason"):
        return f"({told or event['reason']})\n{said}"
    return f"{said}\n" + (f"(exit status {result['rc']})\n" if result.get("rc") else "")
