"""Imports and includes: what they bring in, once, in a loop, or — when that depends on the run — later."""

from __future__ import annotations

from typing import TYPE_CHECKING

from personaplex_provision.agent.record import replace
from personaplex_provision.agent.task import Task
from personaplex_provision.errors import Diagnostic, InvalidError
from personaplex_provision.language.playbook import load_import
from personaplex_provision.language.source import Mapping
from personaplex_provision.language.tree import Import, Written
from personaplex_provision.language.values import Pending
from personaplex_provision.language.variables import Layer, Level
from personaplex_provision.planning import notifying
from personaplex_provision.planning.making import Made
from personaplex_provision.planning.scope import Scope

if TYPE_CHECKING:
    from personaplex_provision.planning.compile import Edges, Walk


def compile_import(walk: Walk, node: Import, scope: Scope, entry: Edges) -> list[str]:
    """import_tasks, include_tasks, import_role, include_role; a loop repeats what is inside."""
    keywords = node.keywords
    if not _may_hold(walk, node, scope):
        return [one for one, _ in entry]
    if "loop" in keywords or node.lookup:
        return _looped(walk, node, scope, entry)
    return _imported(walk, node, scope, entry)


def _may_hold(walk: Walk, node: Import, scope: Scope) -> bool:
    """An include's own `when` decides over reading it; an import's is inherited by what is inside."""
    if node.static or "when" not in node.keywords or "loop" in node.keywords or node.lookup:
        return True
    variables = scope.entered(Mapping()).variables(walk.context.base, walk.known)
    templar = walk.context.templar(variables, scope.search_path)
    try:
        return templar.condition(node.keywords["when"], node.keywords.at("when"))
    except Pending:
        if node.loaded:
            return True
        raise


def _looped(walk: Walk, node: Import, scope: Scope, entry: Edges) -> list[str]:
    maker = walk.maker(
        Written("meta", None, node.name, node.position, node.position, node.keywords, node.file, lookup=node.lookup),
        scope, node.name or node.target,
    )
    control = node.keywords.get("loop_control") or {}
    name, index = str(control.get("loop_var", "item")), control.get("index_var")
    rest = Mapping({key: value for key, value in node.keywords.items() if key not in ("loop", "loop_control")},
                   position=node.position)
    rest.value_positions = node.keywords.value_positions
    at = entry
    for number, item in enumerate(maker.items(maker.templar())):
        extra = {name: item, **({str(index): number} if index else {})}
        layer = Layer(Level.INCLUDE_PARAMS, extra, "loop")
        inner = replace(scope, layers=(*scope.layers, layer))
        ends = _imported(walk, replace(node, keywords=rest), inner, at)
        at = [[one, "listed"] for one in ends]
    return [one for one, _ in at]


def _imported(walk: Walk, node: Import, scope: Scope, entry: Edges) -> list[str]:
    if not node.loaded:
        node = _read(walk, node, scope)
    inner = scope.entered(node.keywords)
    if node.apply:
        inner = inner.entered(node.apply)
    if node.what == "role" and node.imported is not None:
        params = Mapping(node.keywords.get("vars") or {}, position=node.position)
        # One that is included by a task runs each time, as in Ansible; only the list of `roles:` counts them.
        again = str(node.params.get("allow_duplicates", "yes")).lower() not in ("no", "false", "0")
        return walk.role(
            node.imported, node.nodes, node.entry_point, inner, params, Mapping(), entry, node.position, again,
        )
    return walk.sequence(node.nodes, inner, entry)


def _read(walk: Walk, node: Import, scope: Scope) -> Import:
    """An include whose name is a template, read now that the name is known. Raises Pending."""
    variables = scope.entered(node.keywords).variables(walk.context.base, walk.known)
    templar = walk.context.templar(variables, scope.search_path)
    target = str(templar.render(node.target, node.position))
    point = node.params.get("tasks_from") if node.what == "role" else ""
    reading = walk.context.reading
    return load_import(
        node, target, walk.play, entry=str(templar.render(point)) if point else "", kinds=reading.kinds,
        roles_path=reading.roles_path, static_vars=reading.static_vars, open_text=reading.open_text,
    )


def placeholder(walk: Walk, node: Import, scope: Scope, entry: Edges, pending: Pending) -> list[str]:
    """One deferred task for an include that depends on the run; what it stands for is compiled when that is known."""
    title = str(node.name or f"{'include_role' if node.what == 'role' else 'include_tasks'} {node.target}")
    task = Task(walk.unique(f"{walk.path(scope)}{title}"), title, f"include_{node.what}", position=str(node.position))
    task.deferred = f"0 or more steps, {pending.unknown.why or f'known after {pending.unknown.address}'}"
    task.requires, task.tags, task.block = [*entry], sorted(scope.tags), scope.block
    walk.made.tasks.append(task)
    walk.placeholders.append(task)
    handlers, known = walk.handlers, walk.known

    def expand() -> Made:
        inner = walk.beside(known)
        inner.sequence_of(node, scope)
        if inner.wanted:
            raise InvalidError(Diagnostic(
                "`requires` cannot be used in what is included during the run: it runs in the order of its list",
                position=inner.wanted[0].position,
            ))
        notifying.connect(inner, scope, handlers)
        inner.findings.raise_if_any()
        return inner.made

    walk.made.again[task.address] = expand
    return [task.address]
