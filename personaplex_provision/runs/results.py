"""What tasks register: kept by address, whole loops included, while planning and while applying."""

from __future__ import annotations

from typing import Any

from personaplex_provision.agent.task import Task
from personaplex_provision.planning.compile import Compiled
from personaplex_provision.planning.context import Later
from personaplex_provision.planning.verdict import Judge
from personaplex_provision.runs.conversation import Event


def register(results: dict[str, Any], compiled: Compiled, address: str, result: Any) -> None:
    """Keeps a result, and the whole of a loop's once all its items have ended."""
    if address not in compiled.loops:
        results[address] = _with_lines(result)
        results[address].update(compiled.items.get(address, {}))
    for join, items in compiled.loops.items():
        if address in items and all(one in results for one in items):
            found = [results[one] for one in items]
            whole: Event = {"results": found, "msg": "All items completed"}
            for name in ("changed", "failed"):
                whole[name] = any(one.get(name) is True for one in found)
            open_ = [name for name in ("changed", "failed") if not whole[name] and any(
                isinstance(one, Later) and one.get(name) is None for one in found)]
            for name in open_:
                del whole[name]
            results[join] = Later(whole, join) if open_ else whole


def judge_probe(task: Task, event: Event, judge: Judge | None) -> None:
    """What was asked while planning and failed will fail when it is applied: its entry in the plan says so."""
    result = {"changed": False, "failed": False, **event["result"]}
    said = str(result.get("msg", ""))
    if judge is not None:
        verdict = judge.verdict(result, 1)
        result.update(changed=verdict["changed"], failed=verdict["failed"])
        said = verdict["reason"]
    event["result"] = result
    if result["failed"] and not task.ignore_errors:
        event.update(action="unknown", problem=said, reason=f"as things stand this will fail: {said}")


def of_plan(task: Task, event: Event) -> Any:
    """What a task whose result is wanted registers while planning, or None; takes the result out of the event."""
    action, address = event["action"], task.address
    if "result" in event:
        return {"changed": False, "failed": False, **event.pop("result")}
    if event.get("skipped"):
        return {"skipped": True, "changed": False, "failed": False}
    if event.get("later"):
        return Later({} if task.judged else {"changed": False, "skipped": False}, address)
    if action == "none":
        return {"changed": False, "failed": False}
    if action == "unknown":
        return None
    known: Event = {"failed": False, "skipped": False}
    if not task.judged:
        known["changed"] = task.changed if task.changed is not None else True
    return Later(known, address)


def keep_failure(results: dict[str, Any], names: dict[str, Task], task: Task, event: Event) -> None:
    """Keeps what a rescue around a task that failed may ask of it."""
    said = {"failed": True, "msg": event.get("diagnostic", {}).get("summary", ""), **event.get("result", {})}
    block: Task | None = task
    while block is not None and block.block:
        results[f"{block.block}=ansible_failed_task"] = {"name": task.name, "action": task.kind}
        results[f"{block.block}=ansible_failed_result"] = said
        end = block.block.removesuffix(" (body)") + " (end)"
        block = names.get(end)


def _with_lines(result: Any) -> Any:
    """stdout_lines and stderr_lines, as Ansible adds them."""
    if isinstance(result, Later):
        return result
    found = dict(result)
    for name in ("stdout", "stderr"):
        if isinstance(found.get(name), str):
            found.setdefault(f"{name}_lines", found[name].splitlines())
    return found
