"""Handlers: lists of them, imports flattened, and what a play can notify."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from personaplex_provision.agent.record import replace
from personaplex_provision.errors import Position
from personaplex_provision.language import tasks
from personaplex_provision.language.loader import Loader, Scope
from personaplex_provision.language.tree import Import, Node, Play, Role, RoleUse, Written


def parse_handlers(value: Any, scope: Scope, loader: Loader, position: Position) -> list[Written]:
    """The handlers of a list. What an `include_tasks` brings in listens to the include's name too."""
    nodes = tasks.parse_list(value, replace(scope, place="handler"), loader, position)
    return list(_flatten(nodes, loader))


def _flatten(nodes: list[Node], loader: Loader) -> Iterator[Written]:
    for node in nodes:
        if isinstance(node, Written):
            if not node.name and not node.listen:
                loader.findings.add("the handler has no name", node.position,
                                    hint="give it a `name:` that tasks can notify, or `listen:`")
            yield node
        elif isinstance(node, Import):
            if not node.loaded and not node.static:
                loader.findings.add(f'"{node.target}" is not known before the run', node.position,
                                    "handlers must be known from the start", "name the file without a template")
            for inner in _flatten(node.nodes, loader):
                listen = [*inner.listen, node.name] if node.name and not node.static else inner.listen
                yield replace(inner, listen=listen, inherited=[node.keywords, *inner.inherited])


def nodes_of(play: Play) -> Iterator[Node]:
    """Every task, block, import, role entry and check of a play, those inside roles and imports too; each once."""
    seen: set[int] = set()
    todo: list[Node] = [*play.pre_tasks, *play.roles, *play.tasks, *play.post_tasks][::-1]
    while todo:
        node = todo.pop()
        if id(node) not in seen:
            seen.add(id(node))
            yield node
            todo += _inside(node)[::-1]
    yield from play.keywords.get("verify", ())
    for handler in play.handlers:
        yield from handler.keywords.get("verify", ())


def _inside(node: Node) -> list[Node]:
    """What stands directly in a node, in order."""
    inside: list[Node] = [*node.keywords.get("verify", ())]
    if isinstance(node, Written):
        return inside
    role = node.imported if isinstance(node, Import) else node.role if isinstance(node, RoleUse) else None
    if isinstance(role, Role):
        inside += [*role.verify, *(one for handler in role.handlers for one in handler.keywords.get("verify", ()))]
    if isinstance(node, Import):
        inside += [*(node.imported.dependencies if node.imported else []), *node.nodes]
    elif isinstance(node, RoleUse):
        inside += [*node.role.dependencies, *node.role.tasks] if isinstance(node.role, Role) else []
    else:
        inside += [*node.body, *node.rescue, *node.always]
    return inside


def roles_of(play: Play) -> list[Role]:
    """Every role that a play uses and that is known before the run, in the order in which they first appear."""
    found: dict[int, Role] = {}
    for node in nodes_of(play):
        role = node.imported if isinstance(node, Import) else node.role if isinstance(node, RoleUse) else None
        if isinstance(role, Role):
            found.setdefault(id(role), role)
    return list(found.values())


def handlers_of(play: Play) -> list[Written]:
    """Every handler of a play: its own first, then those of its roles. The first of a name is the one to notify."""
    found = [*play.handlers, *(one for role in roles_of(play) for one in role.handlers)]
    unique: dict[Position, Written] = {}
    for handler in found:
        unique.setdefault(handler.position, handler)
    return list(unique.values())
