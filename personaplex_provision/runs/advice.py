"""What the author of a check knows about its failure, told with it."""

from __future__ import annotations

from typing import Any

from personaplex_provision.agent.task import Task

Event = dict[str, Any]


def advised(task: Task, event: Event) -> Event:
    """The end of a failed task, with the cause and the fix that its check names; where it was written, for a check."""
    if task.verify is None:
        return event
    told = dict(event.get("diagnostic") or {"severity": "error", "summary": "the check does not hold"})
    cause, fix = task.verify.get("cause", ""), task.verify.get("fix", "")
    if cause:
        told["detail"] = "\n".join(one for one in (told.get("detail", ""), f"cause: {cause}") if one)
    if fix:
        told["hint"] = fix
    return {**event, "diagnostic": told, "verify": True}
