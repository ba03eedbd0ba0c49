"""A play compiled for one host: every task it will have, in the order of the list, with the edges that order gives.

The list is the default order; `requires` replaces it for the task, block, role or import that says it. Tasks whose
values are not known yet stay in the graph as deferred ones, with a function that makes them when they are.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

from personaplex_provision.agent.record import dataclass, field, replace
from personaplex_provision.agent.resource import Resource
from personaplex_provision.agent.task import Task
from personaplex_provision.errors import Diagnostic, Findings, InvalidError, Position, ProvisionError, suggestion
from personaplex_provision.language.source import Mapping
from personaplex_provision.language.templates import Templar
from personaplex_provision.language.tree import Block, Import, Node, Play, Role, RoleUse, Written
from personaplex_provision.language.values import Pending, Unknown
from personaplex_provision.language.variables import Layer, Level
from personaplex_provision.language.vars_file import load_vars_file
from personaplex_provision.planning import checking, notifying, setting
from personaplex_provision.planning.context import HostContext
from personaplex_provision.planning.including import compile_import, placeholder
from personaplex_provision.planning.making import Made, Maker
from personaplex_provision.planning.region import compile_block
from personaplex_provision.planning.role_arguments import with_arguments
from personaplex_provision.planning.scope import Scope
from personaplex_provision.planning.selection import selected
from personaplex_provision.planning.stretch import Pass

_LONE = frozenset({"name", "tags", "become", "become_user", "ignore_errors", "no_log", "vars", "timeout", "affects"})
"Keywords that concern a task alone."
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
    checking.compile_checks(walk, play.keywords.get("verify", []), scope, exits, play.name or "the play")
    walk.resolve_requires()
    walk.findings.raise_if_any()
    return Compiled(walk.made.tasks, walk.made.resources, walk.made.judges, walk.made.again, walk.made.loops,
                    walk.made.items, walk.made.external, known=walk.known)


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
    placeholders: list[Task] = field(default_factory=list)
    "Includes since the last flush that are read during the run."
    handlers: dict[int, str] = field(default_factory=dict)
    "Number of a handler of the play -> its address at the next flush."
    outer: Scope | None = None
    "The play's own scope, in which its handlers stand wherever they are flushed."
    lone: tuple[Task, Resource] | None = None
    "What the node that was just walked became, when that is one task, the same on other hosts."

    # sections and lists

    def section(self, nodes: Sequence[Node], scope: Scope, entry: list[str]) -> list[str]:
        """A part of the play, and the handlers notified in it."""
        self.outer = scope
        exits = self.sequence(nodes, scope, [[one, "listed"] for one in entry])
        return notifying.flush(self, scope, exits or entry)

    def sequence(self, nodes: Sequence[Node], scope: Scope, entry: Edges) -> list[str]:
        """Nodes one after the other; returns where the list ends (the entry's addresses when it is empty)."""
        open_, number, stretches = entry, 0, Pass(self, nodes, scope)
        while number < len(nodes):
            taken = stretches.take(number, open_)
            if taken:
                number, open_ = number + taken, [[self.made.tasks[-1].address, "listed"]]
                continue
            node, before, self.lone = nodes[number], open_, None
            freed = "requires" in _keywords(node)
            start = entry if freed else open_
            try:
                exits = self.node(node, scope, start, freed)
            except Pending as pending:
                exits = self._later(node, scope, start, pending)
            except ProvisionError as error:
                self.findings.take(error)
                exits = [one for one, _ in start]
            if exits != [one for one, _ in start]:
                fresh: Edges = [[one, "listed"] for one in exits]
                open_ = [*open_, *fresh] if freed else fresh
            stretches.learn(number, before, self.lone)
            number += 1
        self.lone = None
        return [one for one, _ in open_]

    def _later(self, node: Node, scope: Scope, entry: Edges, pending: Pending) -> list[str]:
        """A node that cannot be compiled before the run; only an include can be compiled during it."""
        if isinstance(node, Import):
            return placeholder(self, node, scope, entry, pending)
        why = pending.unknown.why or f"known after {pending.unknown.address}"
        self.findings.add(f"this has to be known before the run, and is {why}", node.position)
        return [one for one, _ in entry]

    def beside(self, known: tuple[Layer, ...]) -> Walk:
        """A walk during the run: its addresses are new ones, its tasks run in the order of the list."""
        return Walk(self.play, self.context, known, self.prefix, taken=self.taken)

    def sequence_of(self, node: Import, scope: Scope) -> None:
        """Compiles one include into this walk. Raises Pending."""
        self.node(node, scope, [], False)

    def node(self, node: Node, scope: Scope, entry: Edges, freed: bool) -> list[str]:
        """One node; returns where it ends."""
        if isinstance(node, Written):
            return self.task(node, scope, entry)
        if freed:
            entry = [[self._gate(node, scope, entry), "starts with it"]]
        if isinstance(node, Block):
            exits = compile_block(self, node, scope, entry)
        elif isinstance(node, RoleUse):
            exits = self.role_use(node, scope, entry)
        else:
            exits = compile_import(self, node, scope, entry)
        if node.keywords.get("verify"):
            inner, title = scope.entered(node.keywords), node.name or "block"
            exits = checking.compile_checks(self, node.keywords["verify"], inner, exits, title)
        for name in {node.name, getattr(node, "target", "")} - {""}:
            self.units.setdefault(str(name), []).extend(exits)
        return exits

    def _gate(self, node: Any, scope: Scope, entry: Edges) -> str:
        """A join at which a container with `requires` starts."""
        title = node.name or getattr(node, "target", "") or "block"
        task = Task(self.unique(f"{self.path(scope)}{title} (start)"), f"{title} (start)", position=str(node.position))
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
        maker = self.maker(written, scope, written.name or written.kind)
        made = maker.make()
        if made.kept and not self.stopped and _LONE.issuperset(written.keywords):
            return self._lone(written, made, entry)
        if self.stopped:
            for one in made.tasks:
                one.skipped = one.skipped or self.stopped
        self.bind(written, maker, made)
        exits = self._take(made, written, maker.address, entry)
        exits = checking.compile_checks(self, written.keywords.get("verify", []), scope, exits, step=written)
        self.call(written, exits)
        return exits

    def _lone(self, written: Written, made: Made, entry: Edges) -> list[str]:
        """A task that other hosts have too, with nothing around it: the short way through what is below."""
        task = made.tasks[0]
        task.requires, task.name = [*entry], task.name or written.kind
        self.made.tasks.append(task)
        self.made.resources.update(made.resources)
        exits = [task.address]
        self.call(written, exits)
        self.lone = task, made.resources[task.address]
        return exits

    def maker(self, written: Written, scope: Scope, title: str) -> Maker:
        address = self.unique(f"{self.path(scope)}{title}")
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
        return [made.tasks[-1].address if made.tasks else address]

    def call(self, written: Written, exits: list[str]) -> None:
        """Makes a task known to `requires` under its names."""
        for title in self.titles(written):
            self.units.setdefault(title, []).extend(exits)

    def titles(self, written: Written) -> set[str]:
        """What `requires` may call a task."""
        return {str(written.name), f"{written.role.name} : {written.name}" if written.role else ""} - {""}

    def bind(self, written: Written, maker: Maker, made: Made) -> None:
        """Makes what the task registers or sets visible to those after it."""
        if written.kind == "set_fact":
            last = next((one for one in reversed(made.tasks) if one.kind), None)
            self.known = (*self.known, *(setting.facts(written, self.context, last) if last is not None else ()))
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
                nothing = {"results": [], "changed": False, "failed": False, "skipped": True}
                self.context.results[maker.address] = nothing
            for address in made.loops.get(maker.address, ()):
                task = next(one for one in made.tasks if one.address == address)
                task.register = task.register or name

    # controller-only tasks

    def _meta(self, written: Written, scope: Scope, entry: Edges) -> list[str]:
        what = str(written.params or "noop").strip()
        here = [one for one, _ in entry]
        if what == "flush_handlers":
            return notifying.flush(self, self.outer or scope, here)
        if what in ("end_host", "end_play"):
            maker = self.maker(written, scope, f"meta {what}")
            if not maker._unmet(maker.templar(), {}):
                self.stopped = f"meta: {what}"
        return here

    def _include_vars(self, written: Written, scope: Scope, entry: Edges) -> list[str]:
        maker = self.maker(written, scope, written.name or "include_vars")
        control = written.keywords.get("loop_control") or {}
        looped = "loop" in written.keywords or written.lookup
        for item in maker.items(maker.templar()) if looped else [None]:
            extra = {str(control.get("loop_var", "item")): item} if looped else {}
            templar = replace(maker, known=self.known).templar().with_variables(extra)
            if not maker._unmet(templar, extra):
                self._read_vars(written, templar)
        return [one for one, _ in entry]

    def _read_vars(self, written: Written, templar: Templar) -> None:
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

    # containers

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
        entry: Edges, position: Position, again: bool = False,
    ) -> list[str]:
        """A role's dependencies and tasks, once for the same parameters in a play unless `again` says otherwise."""
        inner = scope.in_role(role, params, given, {
            "role_name": role.name, "role_path": os.path.abspath(role.path), "ansible_role_name": role.name,
            "ansible_parent_role_names": list(scope.roles),
        })
        key = (role.path, f"{entry_point} {sorted(map(str, {**params, **given}.items()))} {_conditions(inner)}")
        if key in self.done_roles and not role.allow_duplicates and not again:
            return [one for one, _ in entry]
        self.done_roles.add(key)
        inner = with_arguments(role, entry_point, inner, self.context, self.known, position, self.findings)
        at = entry
        for dependency in role.dependencies:
            at = [[one, "dependency of the role"] for one in self.role_use(dependency, inner, at)]
        exits = self.sequence(nodes, inner, at)
        return checking.compile_checks(self, role.verify if entry_point == "main" else [], inner, exits, role.name)

    # handlers

    # names

    def resolve_requires(self) -> None:
        """Turns the names in `requires` into edges, now that every name is known."""
        for wanted in self.wanted:
            for raw in wanted.names if isinstance(wanted.names, list) else [wanted.names]:
                name = str(raw)
                if name in self.units:
                    ends = [end for end in self.units[name] if end != wanted.task.address]
                    wanted.task.requires += [[end, "requires"] for end in ends]
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

    def path(self, scope: Scope) -> str:
        return f"{scope.role.name}/" if scope.role else ""


def _keywords(node: Node) -> Mapping:
    return node.keywords


def _conditions(scope: Scope) -> str:
    return " ".join(str(one.expression) for one in scope.when)
