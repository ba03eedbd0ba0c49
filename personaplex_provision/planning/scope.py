"""What a task inherits from the play, roles, blocks and imports it stands in."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from personaplex_provision.agent.record import dataclass, field, replace
from personaplex_provision.language.source import Mapping
from personaplex_provision.language.tree import Role
from personaplex_provision.language.variables import Layer, Level, Variables


@dataclass(frozen=True)
class Condition:
    """A `when` and the variables it is to be read with."""

    expression: Any
    position: Any
    scope_vars: tuple[Layer, ...]


@dataclass(frozen=True)
class Scope:
    """Inherited state; each container makes a child with `entered`."""

    layers: tuple[Layer, ...] = ()
    "Role, block and include variables, outermost first; task and registered ones come on top."
    when: tuple[Condition, ...] = ()
    tags: frozenset[str] = frozenset()
    become: Any = None
    become_user: Any = None
    environment: tuple[Any, ...] = ()
    keywords: Mapping = field(default_factory=Mapping)
    "Other inherited keywords: the innermost value of each (no_log, ignore_errors, delegate_to, timeout …)."
    role: Role | None = None
    roles: tuple[str, ...] = ()
    "Names of the roles around, outermost first."
    search_path: tuple[str, ...] = ()
    defaults: tuple[Any, ...] = ()
    "`module_defaults`, outermost first."
    block: str = ""
    "The join of the innermost block body that has a rescue."
    moved: bool = False
    "Whether edges of what is in it are changed once all of it is compiled."

    def entered(self, keywords: Mapping, layers: tuple[Layer, ...] = ()) -> Scope:
        """The scope inside a container with these keywords and variables."""
        own = Layer(Level.BLOCK_VARS, keywords["vars"], "vars") if keywords.get("vars") else None
        stack = (*self.layers, *layers, *((own,) if own else ()))
        when = self.when
        if "when" in keywords:
            when = (*when, Condition(keywords["when"], keywords.at("when"), stack))
        merged = Mapping(self.keywords, position=keywords.position)
        merged.value_positions = {**self.keywords.value_positions}
        for name in _PASSED_ON:
            if name in keywords:
                merged[name] = keywords[name]
                merged.value_positions[name] = keywords.at(name)
        return replace(
            self,
            layers=stack,
            when=when,
            tags=self.tags | frozenset(str(one) for one in keywords.get("tags", ())),
            become=keywords.get("become", self.become),
            become_user=keywords.get("become_user", self.become_user),
            environment=(*self.environment, *_environments(keywords)),
            keywords=merged,
            defaults=(*self.defaults, *([keywords["module_defaults"]] if keywords.get("module_defaults") else [])),
        )

    def in_role(self, role: Role, params: Mapping, own_vars: Mapping, facts: dict[str, Any]) -> Scope:
        """The scope of a role's tasks: its variables, those of its dependencies, the parameters it was given."""
        layers = variables_of([role])
        if own_vars:
            layers.append(Layer(Level.BLOCK_VARS, own_vars, f"vars given to role {role.name}"))
        if params:
            layers.append(Layer(Level.ROLE_PARAMS, params, f"parameters of role {role.name}"))
        layers.append(Layer(Level.INCLUDE_PARAMS, facts, f"role {role.name}"))
        return replace(
            self, layers=(*self.layers, *layers), role=role, roles=(*self.roles, role.name),
            search_path=(role.path, *self.search_path),
        )

    def variables(self, base: Variables, known: tuple[Layer, ...], *more: Layer) -> Variables:
        """Everything visible here: the host's, the scope's, what was registered, and `more`."""
        return base.extended(*self.layers, *known, *more)


def variables_of(roles: Iterable[Role]) -> list[Layer]:
    """The defaults and vars of roles and of what they depend on, weakest first: a role's own beat its dependencies'."""
    found: list[Layer] = []
    for role in roles:
        found += variables_of(use.role for use in role.dependencies if isinstance(use.role, Role))
        found.append(Layer(Level.ROLE_DEFAULT, role.defaults, f"defaults of role {role.name}"))
        found.append(Layer(Level.ROLE_VARS, role.vars, f"vars of role {role.name}"))
    return found


_PASSED_ON = (
    "no_log", "ignore_errors", "delegate_to", "run_once", "timeout", "check_mode", "any_errors_fatal", "throttle",
    "become_method",
)


def _environments(keywords: Mapping) -> list[Any]:
    found = keywords.get("environment")
    if not found:
        return []
    return list(found) if isinstance(found, list) else [found]
