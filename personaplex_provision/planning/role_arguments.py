"""What a role is given, held against its argument spec: types checked, defaults filled in, secrets boxed."""

from __future__ import annotations

from typing import Any

from personaplex_provision.agent.record import replace
from personaplex_provision.agent.values import Secret
from personaplex_provision.errors import Findings, Position
from personaplex_provision.language.argument_specs import argument_defaults, check_arguments
from personaplex_provision.language.source import Mapping
from personaplex_provision.language.tree import Role
from personaplex_provision.language.values import Pending
from personaplex_provision.language.variables import Layer, Level
from personaplex_provision.planning.context import HostContext
from personaplex_provision.planning.scope import Scope


def with_arguments(
    role: Role, entry_point: str, scope: Scope, context: HostContext, known: tuple[Layer, ...], position: Position,
    findings: Findings,
) -> Scope:
    """The scope inside a role whose arguments were checked; what is wrong goes into `findings`.

    A text argument with `no_log: true` is a secret from here on, wherever its value came from.
    """
    spec = role.argument_specs.get(entry_point) or Mapping()
    options = spec.get("options") or {}
    if not options:
        return scope
    stated = {name: value for name, value in argument_defaults(spec).items() if name not in role.defaults}
    if stated:
        first = Layer(Level.ROLE_DEFAULT, stated, f"argument_specs of role {role.name}")
        scope = replace(scope, layers=(first, *scope.layers))
    variables = scope.variables(context.base, known)
    templar = context.templar(variables, scope.search_path)
    values: dict[str, Any] = {}
    for name in options:
        raw = variables.as_dict().get(name)
        if raw is None:
            continue
        try:
            values[name] = templar.render(raw)
        except Pending as pending:
            values[name] = pending.unknown
    findings.items += check_arguments(spec, values, position)
    boxed = {
        name: Secret(str(value), name) for name, value in values.items()
        if options[name].get("no_log") and isinstance(value, str) and value
    }
    if not boxed:
        return scope
    # Above everything: whoever set the value, it is the same one, in a box.
    return replace(scope, layers=(*scope.layers, Layer(Level.EXTRA_VARS, boxed, f"arguments of role {role.name}")))
