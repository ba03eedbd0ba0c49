"""Handlers: compiled at the end of each part of a play, after every task that notifies them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from personaplex_provision.agent.record import replace
from personaplex_provision.agent.task import Task
from personaplex_provision.errors import Position, ProvisionError, suggestion
from personaplex_provision.language.handlers import handlers_of
from personaplex_provision.language.source import Mapping
from personaplex_provision.language.tree import Written
from personaplex_provision.planning import checking
from personaplex_provision.planning.scope import Scope

if TYPE_CHECKING:
    from personaplex_provision.planning.compile import Walk


def flush(walk: Walk, scope: Scope, exits: list[str]) -> list[str]:
    """The handlers notified since the last flush, after everything before them; returns where they end.

    An include that is read during the run may notify any handler, so all of them have a place after it.
    """
    if not walk.notifiers and not walk.placeholders:
        return exits
    owners = _owners(walk, scope)
    placeholders, walk.placeholders = walk.placeholders, []
    handlers = handlers_of(walk.play)
    if placeholders:
        for number in range(len(handlers)):
            owners.setdefault(number, []).extend(placeholders)
    at = exits
    for number in sorted(owners):
        written = handlers[number]
        inner = _scope_of(written, scope)
        at = _handler(walk, written, inner, owners[number], at)
        walk.handlers[number] = at[0]
        at = checking.compile_checks(walk, written.keywords.get("verify", []), inner, at, step=written)
    walk.handlers = {}
    # What follows waits for what came before too: a handler runs, or does not, whether or not that succeeded.
    return at if at == exits else [*dict.fromkeys((*exits, *at))]


def connect(walk: Walk, scope: Scope, addresses: dict[int, str]) -> None:
    """Has tasks compiled during the run notify the handlers that already have a place."""
    for number, tasks in _owners(walk, scope).items():
        for task in tasks:
            if number in addresses and addresses[number] not in task.notify:
                task.notify.append(addresses[number])


def _owners(walk: Walk, scope: Scope) -> dict[int, list[Task]]:
    """Which handlers were notified, by number, and by which tasks."""
    notifiers, walk.notifiers = walk.notifiers, []
    handlers = handlers_of(walk.play)
    owners: dict[int, list[Task]] = {}
    for task, names, position in notifiers:
        for raw in names:
            name = _rendered(walk, str(raw), scope, position)
            found = [number for number, one in enumerate(handlers) if _answers(one, name)]
            if not found:
                known = [str(one.name) for one in handlers] + [topic for one in handlers for topic in one.listen]
                walk.findings.add(f'no handler is called "{name}"', position, hint=suggestion(name, known))
            for number in found:
                if task not in owners.setdefault(number, []):
                    owners[number].append(task)
    return owners


def _answers(handler: Written, name: str) -> bool:
    titles = {str(handler.name), *map(str, handler.listen)}
    if handler.role:
        titles.add(f"{handler.role.name} : {handler.name}")
    return name in titles


def _rendered(walk: Walk, text: str, scope: Scope, position: Position) -> str:
    variables = scope.variables(walk.context.base, walk.known)
    try:
        return str(walk.context.templar(variables, scope.search_path).render(text, position))
    except ProvisionError:
        return text


def _scope_of(written: Written, scope: Scope) -> Scope:
    inner = scope
    for keywords in written.inherited:
        inner = inner.entered(keywords)
    if written.role is not None:
        inner = inner.in_role(written.role, Mapping(), Mapping(), {"role_name": written.role.name})
    return replace(inner, block="")


def _handler(walk: Walk, written: Written, scope: Scope, notifiers: list[Task], exits: list[str]) -> list[str]:
    maker = walk.maker(written, scope, f"handler {written.name or written.listen[0]}")
    made = maker.make()
    walk.bind(written, maker, made)
    inside = {one.address for one in made.tasks}
    for one in made.tasks:
        if one.kind:
            one.trigger, one.trigger_on = "notified", [task.address for task in notifiers]
            one.handler = f"{walk.prefix}{written.name or written.listen[0]}"
            for task in notifiers:
                if one.address not in task.notify and not task.deferred.startswith("0 or more"):
                    task.notify.append(one.address)
        if not any(before in inside for before, _ in one.requires):
            one.requires = [*one.requires, *([before, "listed"] for before in exits)]
        names = written.keywords.get("notify")
        if one.kind and names:
            walk.notifiers.append((one, list(names), written.keywords.at("notify")))
    walk.made.add(made)
    return [made.tasks[-1].address]
