"""One written task made into the tasks of a host: conditions, loop, parameters, privileges."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from personaplex_provision.agent.record import dataclass, field, replace
from personaplex_provision.agent.resource import Resource, dump, to_wire
from personaplex_provision.agent.task import Task
from personaplex_provision.agent.values import Secret
from personaplex_provision.errors import Diagnostic, InvalidError
from personaplex_provision.language import lookups
from personaplex_provision.language.source import Mapping, Text
from personaplex_provision.language.templates import Templar
from personaplex_provision.language.tree import Written
from personaplex_provision.language.values import Pending
from personaplex_provision.language.variables import Layer, Level, Variables
from personaplex_provision.planning import contents, controlled, looping, manner, schema, setting, unlogged
from personaplex_provision.planning.context import HostContext
from personaplex_provision.planning.scope import Scope
from personaplex_provision.planning.verdict import Judge


@dataclass
class Made:
    """What one written task became."""

    tasks: list[Task] = field(default_factory=list)
    resources: dict[str, Resource] = field(default_factory=dict)
    judges: dict[str, Judge] = field(default_factory=dict)
    again: dict[str, Callable[[], Made]] = field(default_factory=dict)
    "Deferred tasks: how to make them once more is known. Raises Pending while it is not."
    loops: dict[str, list[str]] = field(default_factory=dict)
    "Address of a loop's join -> the addresses of its items."
    items: dict[str, dict[str, Any]] = field(default_factory=dict)
    "Address of a loop's item -> what its result carries besides: `{loop_var: item, 'ansible_loop_var': loop_var}`."
    external: dict[str, Callable[[], Made]] = field(default_factory=dict)
    "Tasks the controller carries out itself, compiled for its own machine."
    kept: bool = False
    "Whether other hosts get it too."

    def add(self, other: Made) -> None:
        """Takes over everything of `other`."""
        self.tasks += other.tasks
        for name in ("resources", "judges", "again", "loops", "items", "external"):
            getattr(self, name).update(getattr(other, name))


@dataclass(frozen=True)
class Maker:
    """Makes tasks of one written task for one host, as often as more becomes known."""

    written: Written
    scope: Scope
    context: HostContext
    known: tuple[Layer, ...]
    "What was registered or set before, as Unknown or value."
    address: str
    library: dict[str, str]

    def make(self) -> Made:
        """The tasks, those that wait for a value deferred. Raises InvalidError."""
        shared, context, key = self.context.shared, self.context, self._key()
        known = None if key is None else shared.take(key, context.stock)
        if known is not None:
            task, resource = known
            return Made([task], {task.address: resource}, kept=True)
        try:
            made = self._loop()
        except Pending as pending:
            return self._deferred(self.address, self._base(), pending, self._loop)
        if key is not None and len(made.resources) == len(made.tasks) == 1:
            task = made.tasks[0]
            resource = made.resources[task.address]
            made.kept = shared.keep(key, self.written, self.scope, task, resource, context.stock)
        return made

    def _key(self) -> Any:
        return self.context.shared.key(self.written, self.scope, self.address, self.context.sort)

    # variables

    def variables(self, *more: Layer) -> Variables:
        own = self.written.keywords.get("vars")
        layers = [Layer(Level.TASK_VARS, own, "vars of the task")] if own else []
        return self.scope.variables(self.context.base, self.known, *layers, *more)

    def templar(self, *more: Layer) -> Templar:
        return self.context.templar(self.variables(*more), self.scope.search_path)

    # loops

    def _loop(self) -> Made:
        words = self.written.keywords
        if "loop" not in words and not self.written.lookup:
            return self._single(self.templar(), self.address, {})
        templar = self.templar()
        items = self.items(templar)
        control = words.get("loop_control") or {}
        name, index = str(control.get("loop_var", "item")), control.get("index_var")
        join = Task(self.address, self.title(templar), tags=self.tags(), position=self.position())
        made = Made()
        before: list[list[str]] = []
        own = self
        for number, item in enumerate(items):
            extra = {name: item, "ansible_loop_var": name, **({str(index): number} if index else {})}
            if control.get("extended"):
                extra["ansible_loop"] = looping.extended(items, number)
            inner = (templar if own is self else own.templar()).with_variables(extra)
            label = inner.render(control["label"]) if "label" in control else item
            address = self._item_address(label, made)
            one = own._item(inner, address, extra, f"{looping.label(label)}")
            if self.written.kind == "set_fact":
                own = replace(own, known=(*own.known, *setting.facts(self.written, self.context, one.tasks[-1])))
            for task in one.tasks:
                task.requires = [*before]
            before = [[task.address, "listed"] for task in one.tasks]
            made.add(one)
            made.items.update(dict.fromkeys((task.address for task in one.tasks), extra))
        addresses = [task.address for task in made.tasks]
        join.requires = [[address, "item of the loop"] for address in addresses]
        made.loops[self.address] = addresses
        made.tasks.append(join)
        return made

    def items(self, templar: Templar) -> list[Any]:
        """What the loop goes over. Raises Pending, InvalidError."""
        words = self.written.keywords
        if self.written.lookup:
            key = f"with_{self.written.lookup}"
            terms = templar.render(words[key], words.at(key))
            return list(lookups.lookup(self.written.lookup, terms, templar))
        found = templar.render(words["loop"], words.at("loop"))
        if not isinstance(found, list):
            raise InvalidError(Diagnostic(
                f"loop needs a list, and this is {_what(found)}", position=words.at("loop"),
                hint="`| dict2items` makes a list of a mapping, `| list` of most else",
            ))
        return found

    def _item(self, templar: Templar, address: str, extra: dict[str, Any], label: str) -> Made:
        try:
            return self._single(templar, address, extra, label)
        except Pending as pending:
            base = self._base(address, label)
            return self._deferred(address, base, pending, lambda: self._single(templar, address, extra, label))

    def _item_address(self, label: Any, made: Made) -> str:
        address, number = f"{self.address}[{looping.label(label)}]", 1
        taken = {task.address for task in made.tasks}
        while (address if number == 1 else f"{address}#{number}") in taken:
            number += 1
        return address if number == 1 else f"{address}#{number}"

    # one task

    def _single(self, templar: Templar, address: str, extra: dict[str, Any], label: str = "") -> Made:
        task = self._base(address, label, templar)
        refused = self._unmet(templar, extra)
        if refused:
            task.skipped = refused
            setting.keep(self.written, self.context, templar, address)
            return Made([task])
        self._privileges(task, templar)
        task.environment = self._environment(templar)
        if self._delegated(task, templar):
            return self._external(task, templar, extra)
        return self._resource(task, templar)

    def _resource(self, task: Task, templar: Templar) -> Made:
        kind, position = self.written.kind, self.written.kind_position
        params = controlled.params(self.written, templar, self._defaults(templar), self.context, task.address)
        if isinstance(params, dict) and contents.from_controller(kind, params):
            where = self.written.params.at("src") if isinstance(self.written.params, Mapping) else position
            params = contents.load(kind, params, templar, where, self.written.file)
            if isinstance(params, list):
                return self._directory(task, params)
        at = self.written.params if isinstance(self.written.params, Mapping) else None
        params = unlogged.boxed(params, at) if task.no_log else params
        resource = schema.validate(kind, params, at, position, stock=self.context.stock, library=self.library)
        made = Made([task], {task.address: resource})
        task.params = dump(resource)
        task.skipped = manner.by_hand(resource)
        task.exclusive = list(resource.exclusive)
        task.probe = task.probe or resource.probe
        task.connectivity = task.connectivity or resource.touches_connection(self.context.login)
        task.undo = self._undo(templar)
        if task.judged:
            made.judges[task.address] = Judge(self.written.keywords, templar, task.register)
        return made

    def _directory(self, task: Task, sent: list[contents.Sent]) -> Made:
        """A directory that is copied: one task for each thing in it, and a join that stands for all."""
        made, before = Made(), list[list[str]]()
        for one in sent:
            kind = "file" if one.directory else "copy"
            resource = schema.validate(kind, one.params, None, self.written.kind_position, stock=self.context.stock)
            inner = Task(**{**task.to_json(), "address": f"{task.address}/{one.relative}", "kind": kind})
            inner.name, inner.params, inner.requires = f"{task.name} ({one.relative or '.'})", dump(resource), before
            inner.register = task.register
            before = [*before, [inner.address, "its directory"]] if one.directory else before
            made.tasks.append(inner)
            made.resources[inner.address] = resource
        made.loops[task.address] = [one.address for one in made.tasks]
        join = Task(task.address, task.name, tags=task.tags, position=task.position)
        join.requires = [[one.address, "part of the directory"] for one in made.tasks]
        made.tasks.append(join)
        return made

    def _external(self, task: Task, templar: Templar, extra: dict[str, Any]) -> Made:
        """A task delegated to the controller's own machine."""
        task.external = True
        del extra

        def compile_() -> Made:
            # There it stands alone: what starts it, and what it starts, is decided here.
            alone = {"requires": [], "trigger": "success", "trigger_on": [], "block": "", "notify": [], "handler": ""}
            inner = Task(**{**task.to_json(), **alone, "external": False, "user": ""})
            return self._resource(inner, templar)

        made = Made([task])
        made.external[task.address] = compile_
        if task.judged:
            made.judges[task.address] = Judge(self.written.keywords, templar, task.register)
        return made

    # parts of a task

    def _base(self, address: str = "", label: str = "", templar: Templar | None = None) -> Task:
        words, inherited = self.written.keywords, self.scope.keywords

        def flag(name: str) -> Any:
            value = words.get(name, inherited.get(name))
            return templar.render(value) if isinstance(value, str) and templar is not None else value

        changed = words.get("changed_when")
        constant = changed if isinstance(changed, bool) else None
        retries = words.get("retries", 2 if "until" in words else 0)  # Ansible tries three times in all
        title = self.title(templar)
        return Task(
            address=address or self.address,
            name=f"{title} [{label}]" if label else title,
            kind=self.written.kind,
            position=self.position(),
            role=self.scope.role.name if self.scope.role else "",
            tags=self.tags(),
            retries=int(templar.render(retries)) if isinstance(retries, str) and templar else _number(retries, 0),
            delay=manner.pace(words, templar) if self.written.check else
            float(templar.render(words["delay"])) if templar and "delay" in words else 5.0,
            timeout=float(flag("timeout") or 0) if templar else 0.0,
            judged="until" in words or "failed_when" in words or (changed is not None and constant is None),
            changed=constant,
            ignore_errors=_truth(flag("ignore_errors")),
            no_log=_truth(flag("no_log")),
            probe=self.written.kind in _ASKING and (constant is False or flag("check_mode") is False),
            register=str(words.get("register", "")),
            connectivity="connectivity" in [str(one) for one in words.get("affects", ())],
            block=self.scope.block,
            verify=manner.of(words, templar) if self.written.check else None, advice=manner.advice(words, templar),
        )

    def title(self, templar: Templar | None) -> str:
        """The task's name, rendered where that is possible."""
        name = self.written.name or self.written.kind
        try:
            return str(name if templar is None else templar.render(name, self.written.position))
        except (Pending, InvalidError):
            return str(name)

    def tags(self) -> list[str]:
        own = {str(one) for one in self.written.keywords.get("tags", ())}
        return sorted(self.scope.tags | own)

    def position(self) -> str:
        return str(self.written.position)

    def _unmet(self, templar: Templar, extra: dict[str, Any]) -> str:
        """Why the task is skipped, or nothing. Raises Pending."""
        for one in self.scope.when:
            inner = self.context.templar(
                self.context.base.extended(*one.scope_vars, *self.known), self.scope.search_path,
            ).with_variables(extra)
            if not inner.condition(one.expression, one.position):
                return f"when: {_expression(one.expression)}"
        words = self.written.keywords
        if "when" in words and not templar.condition(words["when"], words.at("when")):
            return f"when: {_expression(words['when'])}"
        if templar.render(words.get("check_mode", self.scope.keywords.get("check_mode"))) is True:
            return "check_mode: true keeps it from being applied"
        once = words.get("run_once", self.scope.keywords.get("run_once"))
        if once and self.context.batch and self.context.host != self.context.batch[0]:
            return f"run_once: {self.context.batch[0]} does it"
        return ""

    def _privileges(self, task: Task, templar: Templar) -> None:
        words = self.written.keywords
        become = words.get("become", self.scope.become)
        if isinstance(become, str):
            become = templar.render(become)
        become = self.context.become if become is None else _truth(become)
        user = words.get("become_user", self.scope.become_user)
        wanted = str(templar.render(user)) if user else "root"
        if become:
            task.user = "" if wanted == "root" else wanted
        elif self.context.root:
            task.user = self.context.login

    def _environment(self, templar: Templar) -> dict[str, Any]:
        found: dict[str, Any] = {}
        own = self.written.keywords.get("environment")
        for one in (*self.scope.environment, *([own] if own else [])):
            for layer in one if isinstance(one, list) else [one]:
                rendered = templar.render(layer)
                if isinstance(rendered, dict):
                    found.update(rendered)
        return {
            name: to_wire(self.context.stock.keep(value)) if isinstance(value, Secret) else str(value)
            for name, value in found.items()
        }

    def _delegated(self, task: Task, templar: Templar) -> bool:
        words = self.written.keywords
        target = words.get("delegate_to", self.scope.keywords.get("delegate_to"))
        if not target:
            return False
        name = str(templar.render(target))
        if name == self.context.host:
            return False
        if name in ("localhost", "127.0.0.1", "::1"):
            return not self.context.local
        raise InvalidError(Diagnostic(
            f'"{task.name}" is delegated to {name}, and only localhost can be delegated to',
            position=words.at("delegate_to") if "delegate_to" in words else self.written.position,
            hint=f"give {name} a play of its own",
        ))

    def _defaults(self, templar: Templar) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for one in (*self.scope.defaults, *([self.written.keywords["module_defaults"]]
                                            if self.written.keywords.get("module_defaults") else [])):
            rendered = templar.render(one)
            for kind, values in rendered.items() if isinstance(rendered, dict) else ():
                if str(kind).rsplit(".", 1)[-1] == self.written.kind and isinstance(values, dict):
                    found.update(values)
        return found

    def _undo(self, templar: Templar) -> dict[str, Any] | None:
        undo = self.written.keywords.get("undo")
        if not isinstance(undo, Written):
            return None
        params = templar.render(undo.params) if undo.params is not None else {}
        if undo.args and isinstance(params, str):
            params = {"_raw_params": params, **templar.render(undo.args)}
        params = controlled.free_form(undo.kind, params, self.library)
        at = undo.params if isinstance(undo.params, Mapping) else None
        filled = schema.fill(undo.kind, params, at, undo.kind_position, stock=self.context.stock, library=self.library)
        return {"kind": undo.kind, "params": filled}

    def _deferred(self, address: str, base: Task, pending: Pending, make: Callable[[], Made]) -> Made:
        base.address = address
        undo = self.written.keywords.get("undo")
        base.undo = {"kind": undo.kind, "params": {}} if isinstance(undo, Written) else None  # that there is a way back
        base.deferred = pending.unknown.why or f"known after {pending.unknown.address.rstrip('!')}"
        made = Made([base])
        made.again[address] = make
        if base.judged:
            made.judges[address] = Judge(self.written.keywords, self.templar(), base.register)
            base.judged = False
        return made


_ASKING = ("command", "shell", "script")
"Kinds that are asked while planning when they say that they change nothing."


def _expression(value: Any) -> str:
    return " and ".join(str(one) for one in value) if isinstance(value, list) else str(value)


def _truth(value: Any) -> bool:
    if isinstance(value, str):
        return value.strip().lower() in ("true", "yes", "on", "1", "y")
    return bool(value)


def _number(value: Any, default: int) -> int:
    return int(value) if isinstance(value, (int, float)) else default


def _what(value: Any) -> str:
    if isinstance(value, dict):
        return "a mapping"
    return "text" if isinstance(value, (str, Text)) else f"{value!r}"
