"""A play compiled for one host: every task it will have, in the order of the list, with the edges that order gives.

The list is the default order; `requires` replaces it for the task, block, role or import that says it. Tasks whose
values are not known yet stay in the graph as deferred ones, with a function that makes them when they are.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from personaplex_provision.agent.task import Task
from personaplex_provision.errors import Diagnostic, Findings, InvalidError, Position, ProvisionError, suggestion
from personaplex_provision.language.handlers import handlers_of
from personaplex_provision.language.playbook import load_import
from personaplex_provision.language.source import Mapping
from personaplex_provision.language.tree import Block, Import, Node, Play, Role, RoleUse, Written
from personaplex_provision.language.values import Pending, Unknown
from personaplex_provision.language.variables import Layer, Level
from personaplex_provision.language.vars_file import load_vars_file
from personaplex_provision.planning.context import HostContext
from personaplex_provision.planning.making import Made, Maker
from personaplex_provision.planning.role_arguments import with_arguments
from personaplex_provision.planning.scope import Scope
from personaplex_provision.planning.selection import selected

Edges = list[list[str]]
"""`[address, reason]` pairs."""


@dataclass
class Compiled(Made):
    """A whole play for one host; `known` is what it leaves set for the next play."""

    known: tuple[Layer, ...] = ()


def compile_play(
    play: Play, context: HostContext, scope: Scope, known: tuple[Layer, ...] = (), prefix: str = "",
) -> Compiled:
    """The tasks of `play` on one host; addresses start with `prefix`. Raises InvalidError with everything wrong."""
    walk = Walk(play, context, known, prefix)
    exits: list[str] = []
    roles = list[Node](play.roles)
    for part in (play.pre_tasks, [*roles, *play.tasks], play.post_tasks):
        exits = walk.section(part, scope, exits)
    walk.resolve_requires()
    walk.findings.raise_if_any()
    return Compiled(walk.made.tasks, walk.made.resources, walk.made.judges, walk.made.again, walk.made.loops,
                    walk.made.items, walk.made.external, walk.known)


@dataclass
class _Wanted:
    """A `requires` to be resolved when all names are known."""

    task: Task
    names: Any
    position: Position


@dataclass
class Walk:
    """One pass over a play; addresses are given out and edges drawn on the way."""

    play: Play
    context: HostContext
    known: tuple[Layer, ...]
    prefix: str = ""
    made: Made = field(default_factory=Made)
    findings: Findings = field(default_factory=Findings)
    units: dict[str, list[str]] = field(default_factory=dict)
    "Name of a task, block, role or import -> the addresses at which it ends."
    unselected: set[str] = field(default_factory=set)
    wanted: list[_Wanted] = field(default_factory=list)
    notifiers: list[tuple[Task, list[str], Position]] = field(default_factory=list)
    done_roles: set[tuple[str, str]] = field(default_factory=set)
    taken: set[str] = field(default_factory=set)
    stopped: str = ""
    flushes: int = 0

    # sections and lists

    def section(self, nodes: Sequence[Node], scope: Scope, entry: list[str]) -> list[str]:
        """A part of the play, and the handlers notified in it."""
        exits = self.sequence(nodes, scope, [[one, "listed"] for one in entry])
        return self.flush(scope, exits or entry)

    def sequence(self, nodes: Sequence[Node], scope: Scope, entry: Edges) -> list[str]:
        """Nodes one after the other; returns where the list ends (the entry's addresses when it is empty)."""
        open_ = entry
        for node in nodes:
            freed = "requires" in _keywords(node)
            start = entry if freed else open_
            try:
                exits = self.node(node, scope, start, freed)
            except Pending as pending:
                self._never(node, pending)
                continue
            except ProvisionError as error:
                self.findings.take(error)
                continue
            if exits == [one for one, _ in start]:
                continue
            fresh: Edges = [[one, "listed"] for one in exits]
            open_ = [*open_, *fresh] if freed else fresh
        return [one for one, _ in open_]

    def node(self, node: Node, scope: Scope, entry: Edges, freed: bool) -> list[str]:
        """One node; returns where it ends."""
        if isinstance(node, Written):
            return self.task(node, scope, entry)
        if freed:
            entry = [[self._gate(node, scope, entry), "starts with it"]]
        if isinstance(node, Block):
            exits = self.block(node, scope, entry)
        elif isinstance(node, RoleUse):
            exits = self.role_use(node, scope, entry)
        else:
            exits = self.import_(node, scope, entry)
        for name in {node.name, getattr(node, "target", "")} - {""}:
            self.units.setdefault(str(name), []).extend(exits)
        return exits

    def _gate(self, node: Any, scope: Scope, entry: Edges) -> str:
        """A join at which a container with `requires` starts."""
        title = node.name or getattr(node, "target", "") or "block"
        task = Task(self.unique(f"{self._path(scope)}{title} (start)"), f"{title} (start)", position=str(node.position))
        task.requires = list(entry)
        self.made.tasks.append(task)
        keywords = node.keywords
        self.wanted.append(_Wanted(task, keywords["requires"], keywords.at("requires")))
        return task.address

    # tasks

    def task(self, written: Written, scope: Scope, entry: Edges) -> list[str]:
        """A written task; returns where it ends."""
        own = scope.tags | {str(one) for one in written.keywords.get("tags", ())}
        if not selected(own, self.context.tags, self.context.skip_tags) and written.kind != "meta":
            self.unselected.add(str(written.name))
            return [one for one, _ in entry]
        if written.kind == "meta":
            return self._meta(written, scope, entry)
        if written.kind == "include_vars":
            return self._include_vars(written, scope, entry)
        maker = self._maker(written, scope, written.name or written.kind)
        made = maker.make()
        if self.stopped:
            for one in made.tasks:
                one.skipped = one.skipped or self.stopped
        self._bind(written, maker, made)
        return self._take(made, written, maker.address, entry)

    def _maker(self, written: Written, scope: Scope, title: str) -> Maker:
        address = self.unique(f"{self._path(scope)}{title}")
        return Maker(written, scope, self.context, self.known, address, self.play.library)

    def _take(self, made: Made, written: Written, address: str, entry: Edges) -> list[str]:
        inside = {one.address for one in made.tasks}
        for one in made.tasks:
            if not any(before in inside for before, _ in one.requires):
                one.requires = [*entry, *one.requires]
            if one.kind and "requires" in written.keywords:
                self.wanted.append(_Wanted(one, written.keywords["requires"], written.keywords.at("requires")))
            names = written.keywords.get("notify")
            if one.kind and names:
                self.notifiers.append((one, list(names), written.keywords.at("notify")))
            one.name = one.name or written.kind
        self.made.add(made)
        name = made.tasks[-1].address if made.tasks else address
        for title in {str(written.name), f"{written.role.name} : {written.name}" if written.role else ""} - {""}:
            self.units.setdefault(title, []).append(name)
        return [name]

    def _bind(self, written: Written, maker: Maker, made: Made) -> None:
        """Makes what the task registers or sets visible to those after it."""
        if written.kind == "set_fact" and isinstance(written.params, Mapping):
            if any(one.skipped for one in made.tasks):
                return
            last = made.tasks[-1]
            address = made.loops.get(maker.address, [last.address])[-1] if made.loops else last.address
            values = {
                str(name): self.context.results.get(f"{address}={name}", Unknown(f"{address}={name}", f"set by {last.name}"))
                for name in written.params if name != "cacheable"
            }
            self.known = (*self.known, Layer(Level.SET_FACT, values, f"set_fact at {written.position}"))
        name = str(written.keywords.get("register", ""))
        if name:
            why = f"registered by {made.tasks[-1].name or maker.address}"
            values = {name: Unknown(maker.address, why)}
            self.known = (*self.known, Layer(Level.SET_FACT, values, f"register at {written.position}"))
            single = made.tasks[0]
            if len(made.tasks) == 1 and single.skipped:
                self.context.results[maker.address] = {"skipped": True, "changed": False, "failed": False,
                                                       "skip_reason": single.skipped}
            if made.loops.get(maker.address) == []:
                self.context.results[maker.address] = {"results": [], "changed": False, "failed": False, "skipped": True}
            for address in made.loops.get(maker.address, ()):
                task = next(one for one in made.tasks if one.address == address)
                task.register = task.register or name

    # controller-only tasks

    def _meta(self, written: Written, scope: Scope, entry: Edges) -> list[str]:
        what = str(written.params or "noop").strip()
        here = [one for one, _ in entry]
        if what == "flush_handlers":
            return self.flush(scope, here)
        if what in ("end_host", "end_play"):
            maker = self._maker(written, scope, f"meta {what}")
            if not maker._unmet(maker.templar(), {}):
                self.stopped = f"meta: {what}"
        return here

    def _include_vars(self, written: Written, scope: Scope, entry: Edges) -> list[str]:
        maker = self._maker(written, scope, written.name or "include_vars")
        templar = maker.templar()
        if maker._unmet(templar, {}):
            return [one for one, _ in entry]
        params = templar.render(written.params, written.kind_position)
        if isinstance(params, str):
            params = {"file": params}
        name = str(params.get("file") or params.get("_raw_params") or "")
        path = templar.find(name, "vars", beside=os.path.abspath(written.file))
        if path is None:
            raise templar.not_found(name, "vars", written.kind_position)
        values: Any = load_vars_file(path, self.context.reading.open_text)
        if params.get("name"):
            values = {str(params["name"]): values}
        self.known = (*self.known, Layer(Level.INCLUDE_VARS, values, path))
        return [one for one, _ in entry]

    # containers

    def block(self, node: Block, scope: Scope, entry: Edges) -> list[str]:
        """block/rescue/always as a region: joins stand for its parts, so that a failure inside has one meaning."""
        inner = scope.entered(node.keywords)
        if not node.rescue and not node.always:
            return self.sequence(node.body, inner, entry)
        title = self.unique(f"{self._path(scope)}{node.name or 'block'}")
        body = Task(f"{title} (body)", "", position=str(node.position))
        inside = replace(inner, block=body.address)
        body.requires = [[one, "in the block"] for one in self.sequence(node.body, inside, entry)]
        self.made.tasks.append(body)
        ends: Edges = [[body.address, "the block"]]
        end = Task(f"{title} (end)", str(node.name), trigger="block", trigger_on=[body.address])
        if node.rescue:
            first = len(self.made.tasks)
            rescue = Task(f"{title} (rescue)", "", block=scope.block)
            exits = self.sequence(node.rescue, inner, [*entry, [body.address, "rescues it"]])
            for one in self.made.tasks[first:]:
                one.trigger, one.trigger_on = "failed", [body.address]
            rescue.requires = [[one, "in the rescue"] for one in exits]
            rescue.trigger_on = [body.address]
            self.made.tasks.append(rescue)
            end.rescued_by = rescue.address
            ends.append([rescue.address, "the rescue"])
        if node.always:
            first = len(self.made.tasks)
            exits = self.sequence(node.always, inner, [*entry, *ends])
            for one in self.made.tasks[first:]:
                if one.trigger == "success":
                    one.trigger, one.trigger_on = "always", [address for address, _ in ends]
            always = Task(f"{title} (always)", "", trigger="always", trigger_on=[address for address, _ in ends])
            always.requires = [[one, "in always"] for one in exits]
            self.made.tasks.append(always)
            ends.append([always.address, "always"])
            end.trigger_on.append(always.address)
        end.requires = ends
        end.block = scope.block
        self.made.tasks.append(end)
        return [end.address]

    def role_use(self, use: RoleUse, scope: Scope, entry: Edges) -> list[str]:
        """An entry of `roles:`; its dependencies first."""
        role = use.role
        if not isinstance(role, Role):
            raise InvalidError(Diagnostic(
                f'the role name "{role}" is not known before the run', position=use.position,
                hint="use include_role with a name, or give the variable with -e",
            ))
        given = Mapping({**use.vars}, position=use.position)
        return self.role(role, role.tasks, "main", scope.entered(use.keywords), use.params, given, entry, use.position)

    def role(
        self, role: Role, nodes: list[Node], entry_point: str, scope: Scope, params: Mapping, given: Mapping,
        entry: Edges, position: Position,
    ) -> list[str]:
        """A role's dependencies and tasks, once for the same parameters in a play."""
        inner = scope.in_role(role, params, given, {
            "role_name": role.name, "role_path": os.path.abspath(role.path), "ansible_role_name": role.name,
            "ansible_parent_role_names": list(scope.roles),
        })
        key = (role.path, f"{entry_point} {sorted(map(str, {**params, **given}.items()))} {_conditions(inner)}")
        if key in self.done_roles and not role.allow_duplicates:
            return [one for one, _ in entry]
        self.done_roles.add(key)
        inner = with_arguments(role, entry_point, inner, self.context, self.known, position, self.findings)
        at = entry
        for dependency in role.dependencies:
            at = [[one, "dependency of the role"] for one in self.role_use(dependency, inner, at)]
        return self.sequence(nodes, inner, at)

    def import_(self, node: Import, scope: Scope, entry: Edges) -> list[str]:
        """import_tasks, include_tasks, import_role, include_role; a loop repeats what is inside."""
        keywords = node.keywords
        if not self._may_hold(node, scope):
            return [one for one, _ in entry]
        if "loop" in keywords or node.lookup:
            return self._looped(node, scope, entry)
        return self._imported(node, scope, entry, ())

    def _may_hold(self, node: Import, scope: Scope) -> bool:
        """An include's own `when` decides over reading it; an import's is inherited by what is inside."""
        if node.static or "when" not in node.keywords or "loop" in node.keywords or node.lookup:
            return True
        variables = scope.entered(Mapping()).variables(self.context.base, self.known)
        templar = self.context.templar(variables, scope.search_path)
        try:
            return templar.condition(node.keywords["when"], node.keywords.at("when"))
        except Pending:
            if node.loaded:
                return True
            raise

    def _looped(self, node: Import, scope: Scope, entry: Edges) -> list[str]:
        maker = self._maker(
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
            ends = self._imported(replace(node, keywords=rest), replace(scope, layers=(*scope.layers, layer)), at, (layer,))
            at = [[one, "listed"] for one in ends]
        return [one for one, _ in at]

    def _imported(self, node: Import, scope: Scope, entry: Edges, extra: tuple[Layer, ...]) -> list[str]:
        if not node.loaded:
            node = self._read(node, scope, entry)
        inner = scope.entered(node.keywords)
        if node.apply:
            inner = inner.entered(node.apply)
        del extra
        if node.what == "role" and node.imported is not None:
            params = Mapping(node.keywords.get("vars") or {}, position=node.position)
            return self.role(node.imported, node.nodes, node.entry_point, inner, params, Mapping(), entry, node.position)
        return self.sequence(node.nodes, inner, entry)

    def _read(self, node: Import, scope: Scope, entry: Edges) -> Import:
        """An include whose name is a template, read now that the name is known. Raises Pending."""
        del entry
        variables = scope.entered(node.keywords).variables(self.context.base, self.known)
        templar = self.context.templar(variables, scope.search_path)
        target = str(templar.render(node.target, node.position))
        point = node.params.get("tasks_from") if node.what == "role" else ""
        reading = self.context.reading
        return load_import(
            node, target, self.play, entry=str(templar.render(point)) if point else "", kinds=reading.kinds,
            roles_path=reading.roles_path, static_vars=reading.static_vars, open_text=reading.open_text,
        )

    def _never(self, node: Node, pending: Pending) -> None:
        """An include that cannot be read before the run: one deferred task stands for all that is inside."""
        self.findings.add(
            f"this depends on {pending.unknown.why or pending.unknown.address}, and is not known before the run",
            node.position, hint="decide inside the included file with `when:`, which may wait",
        )

    # handlers

    def flush(self, scope: Scope, exits: list[str]) -> list[str]:
        """The handlers notified since the last flush, after everything before them; returns where they end."""
        notifiers, self.notifiers = self.notifiers, []
        owners: dict[int, list[Task]] = {}
        handlers = handlers_of(self.play)
        for task, names, position in notifiers:
            for raw in names:
                name = self._rendered(str(raw), scope, position)
                found = [number for number, one in enumerate(handlers) if self._answers(one, name)]
                if not found:
                    known = [str(one.name) for one in handlers] + [topic for one in handlers for topic in one.listen]
                    self.findings.add(f'no handler is called "{name}"', position, hint=suggestion(name, known))
                for number in found:
                    if task not in owners.setdefault(number, []):
                        owners[number].append(task)
        at = exits
        self.flushes += 1
        for number in sorted(owners):
            at = self._handler(handlers[number], scope, owners[number], at)
        return at

    def _answers(self, handler: Written, name: str) -> bool:
        titles = {str(handler.name), *map(str, handler.listen)}
        if handler.role:
            titles.add(f"{handler.role.name} : {handler.name}")
        return name in titles

    def _rendered(self, text: str, scope: Scope, position: Position) -> str:
        variables = scope.variables(self.context.base, self.known)
        try:
            return str(self.context.templar(variables, scope.search_path).render(text, position))
        except ProvisionError:
            return text

    def _handler(self, written: Written, scope: Scope, notifiers: list[Task], exits: list[str]) -> list[str]:
        inner = scope
        for keywords in written.inherited:
            inner = inner.entered(keywords)
        if written.role is not None:
            inner = inner.in_role(written.role, Mapping(), Mapping(), {"role_name": written.role.name})
        inner = replace(inner, block="")
        maker = self._maker(written, inner, f"handler {written.name or written.listen[0]}")
        made = maker.make()
        self._bind(written, maker, made)
        inside = {one.address for one in made.tasks}
        for one in made.tasks:
            if one.kind:
                one.trigger, one.trigger_on = "notified", [task.address for task in notifiers]
                one.handler = str(written.name or written.listen[0])
                for task in notifiers:
                    if one.address not in task.notify:
                        task.notify.append(one.address)
            if not any(before in inside for before, _ in one.requires):
                one.requires = [*one.requires, *([before, "listed"] for before in exits)]
            names = written.keywords.get("notify")
            if one.kind and names:
                self.notifiers.append((one, list(names), written.keywords.at("notify")))
        self.made.add(made)
        return [made.tasks[-1].address]

    # names

    def resolve_requires(self) -> None:
        """Turns the names in `requires` into edges, now that every name is known."""
        for wanted in self.wanted:
            for raw in wanted.names if isinstance(wanted.names, list) else [wanted.names]:
                name = str(raw)
                if name in self.units:
                    wanted.task.requires += [[end, "requires"] for end in self.units[name] if end != wanted.task.address]
                elif name not in self.unselected:
                    self.findings.add(f'requires: nothing in this play is called "{name}"', wanted.position,
                                      hint=suggestion(name, self.units))

    def unique(self, address: str) -> str:
        """The address, with a number where it is taken."""
        address = f"{self.prefix}{address}"
        found, number = address, 1
        while found in self.taken:
            number += 1
            found = f"{address}#{number}"
        self.taken.add(found)
        return found

    def _path(self, scope: Scope) -> str:
        return f"{scope.role.name}/" if scope.role else ""


def _keywords(node: Node) -> Mapping:
    return node.keywords


def _conditions(scope: Scope) -> str:
    return " ".join(str(one.expression) for one in scope.when)
