"""Blocks with rescue or always: a region of the graph whose parts are stood for by joins."""

from __future__ import annotations

from typing import TYPE_CHECKING

from personaplex_provision.agent.record import replace
from personaplex_provision.agent.task import Task
from personaplex_provision.language.tree import Block
from personaplex_provision.language.values import Unknown
from personaplex_provision.language.variables import Layer, Level
from personaplex_provision.planning.scope import Scope

if TYPE_CHECKING:
    from personaplex_provision.planning.compile import Edges, Walk


def compile_block(walk: Walk, node: Block, scope: Scope, entry: Edges) -> list[str]:
    """block/rescue/always as a region: joins stand for its parts, so that a failure inside has one meaning."""
    inner = scope.entered(node.keywords)
    if not node.rescue and not node.always:
        return walk.sequence(node.body, inner, entry)
    title = walk.unique(f"{walk.path(scope)}{node.name or 'block'}")
    body = Task(f"{title} (body)", "", position=str(node.position))
    inside = replace(inner, block=body.address)
    body.requires = [[one, "in the block"] for one in walk.sequence(node.body, inside, entry)]
    walk.made.tasks.append(body)
    ends: Edges = [[body.address, "the block"]]
    end = Task(f"{title} (end)", str(node.name), trigger="block", trigger_on=[body.address])
    if node.rescue:
        first = len(walk.made.tasks)
        rescue = Task(f"{title} (rescue)", "", block=scope.block)
        told = replace(inner, layers=(*inner.layers, _failure(body.address)), moved=True)
        exits = walk.sequence(node.rescue, told, [*entry, [body.address, "rescues it"]])
        _entered(walk.made.tasks[first:], "failed", [body.address])
        rescue.requires = [[one, "in the rescue"] for one in exits]
        rescue.trigger_on = [body.address]
        walk.made.tasks.append(rescue)
        end.rescued_by = rescue.address
        ends.append([rescue.address, "the rescue"])
    if node.always:
        first = len(walk.made.tasks)
        exits = walk.sequence(node.always, replace(inner, moved=True), [*entry, *ends])
        _entered(walk.made.tasks[first:], "always", [address for address, _ in ends])
        always = Task(f"{title} (always)", "", trigger="always", trigger_on=[address for address, _ in ends])
        always.requires = [[one, "in always"] for one in exits]
        walk.made.tasks.append(always)
        ends.append([always.address, "always"])
        end.trigger_on.append(always.address)
    end.requires = ends
    end.block = scope.block
    walk.made.tasks.append(end)
    return [end.address]


def _failure(body: str) -> Layer:
    """What a rescue knows of the task that failed."""
    return Layer(Level.BLOCK_VARS, {
        name: Unknown(f"{body}={name}", "known when the block fails")
        for name in ("ansible_failed_task", "ansible_failed_result")
    }, "rescue")


def _entered(tasks: list[Task], trigger: str, watched: list[str]) -> None:
    """Has the tasks of a rescue or always start by `trigger`.

    Those that a block of their own or a notification starts keep that: they come after a task that has the trigger,
    and must not wait for the success of what was already allowed to fail.
    """
    for one in tasks:
        if one.trigger == "success":
            one.trigger, one.trigger_on = trigger, watched
        elif one.trigger != "notified":
            one.requires = [[before, why] for before, why in one.requires if before not in watched]
