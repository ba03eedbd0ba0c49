"""What the author of a task or check knows about its failure, told with it."""

from __future__ import annotations

from typing import Any

from personaplex_provision.agent.task import Task

Event = dict[str, Any]


def advised(task: Task, event: Event) -> Event:
    """The end of a failed task, with the cause and the fix that its author names."""
    if task.verify is None and not task.advice:
        return event
    told = dict(event.get("diagnostic") or {"severity": "error", "summary": "the check does not hold"})
    found = {**event, "diagnostic": {**told, **words(task, told)}}
    return found if task.verify is None else {**found, "verify": True}


def words(task: Task | None, told: Event) -> dict[str, str]:
    """`detail` and `hint` of a failure, with what the author of the task says of it; his fix beats ours."""
    detail, hint = str(told.get("detail", "")), str(told.get("hint", ""))
    advice = task.advice if task is not None else {}
    if advice.get("cause"):
        detail = "\n".join(one for one in (detail, f"cause: {advice['cause']}") if one)
    return {"detail": detail, "hint": advice.get("fix") or hint}
