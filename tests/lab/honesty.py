"""Whether a plan told the truth: what it showed beside what applying then did."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

Event = dict[str, Any]
CHANGING = ("create", "update", "delete", "run")


def lies(planned: Iterable[Event], applied: Iterable[Event]) -> list[str]:
    """What the plan got wrong, a line each; empty for an honest one. Takes the events of a plan and of a run."""
    shown = {one["task"]: one for one in planned if one["type"] == "plan_task"}
    ended = {one["task"]: one for one in applied if one["type"] == "task_end"}
    found = []
    for task, end in ended.items():
        plan = shown.get(task, {"action": "nothing at all"})
        if end["outcome"] == "changed" and plan["action"] not in (*CHANGING, "unknown"):
            found.append(f"{task} changed and was shown as {plan['action']}")
    for task, plan in shown.items():
        outcome = ended.get(task, {"outcome": "not run"})["outcome"]
        if plan["action"] in CHANGING and outcome != "changed":
            found.append(f"{task} was shown as {plan['action']} and is {outcome}")
        if plan["action"] == "unknown" and not plan.get("reason"):
            found.append(f"{task} was shown as ? without a reason")
    return found


def undecided(planned: Iterable[Event]) -> tuple[list[str], int]:
    """The tasks shown as `?`, each with its reason, and how many tasks there are in all."""
    shown = [one for one in planned if one["type"] == "plan_task"]
    return [f"{one['task']}: {one.get('reason')}" for one in shown if one["action"] == "unknown"], len(shown)
