"""Parameters into resources: a kind's own dataclass is the schema, pydantic's core is the validator.

A kind's validator is built when the kind is first used. Everything wrong with a task is told at once, each finding at
the position of the key or value it is about.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from personaplex_provision.agent.record import fields, replace
from personaplex_provision.agent.resource import Resource, dump
from personaplex_provision.agent.values import Secret
from personaplex_provision.errors import Findings, Position, suggestion
from personaplex_provision.language import source
from personaplex_provision.language.values import Unknown
from personaplex_provision.planning import coerce
from personaplex_provision.planning.coerce import Stock, Unfit
from personaplex_provision.planning.core import core
from personaplex_provision.planning.kinds import load_kind
from personaplex_provision.planning.validator import is_open, parameters, validator


def validate(
    kind: str, params: Any, at: source.Mapping | None = None, position: Position | None = None, *,
    stock: Stock | None = None, library: Mapping[str, str] | None = None,
) -> Resource:
    """The resource that rendered parameters describe.

    `at` is the mapping they were written in and `position` that of the task; contents and secrets' values go into
    `stock`. Raises InvalidError with a diagnostic for everything that is wrong.
    """
    position = position or (at.position if at is not None else None)
    cls = load_kind(kind, library, position)
    findings = Findings()
    given = _given(cls, params, at, position, findings)
    stock = stock or Stock()
    values = _check(cls, given, at, position, findings, stock, static=False)
    findings.raise_if_any()
    resource = cls(**values)
    _check_whole(cls, resource, given, at, position, findings)
    findings.raise_if_any()
    return resource


def fill(
    kind: str, params: Any, at: source.Mapping | None = None, position: Position | None = None, *,
    stock: Stock | None = None, library: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """As `validate`, in the wire form a task carries."""
    return dump(validate(kind, params, at, position, stock=stock, library=library))


def check_static(
    kind: str, params: Any, at: source.Mapping | None = None, position: Position | None = None, *,
    library: Mapping[str, str] | None = None,
) -> None:
    """Checks parameters that are not rendered: all keys, and the values that hold no template.

    Rules across fields are checked when nothing is left to render. Raises as `validate`.
    """
    position = position or (at.position if at is not None else None)
    cls = load_kind(kind, library, position)
    if isinstance(params, (str, Unknown)) and is_open(params) and not cls.free_form:
        return  # `kind: "{{ parameters }}"`: nothing is known yet
    findings = Findings()
    given = _given(cls, params, at, position, findings)
    values = _check(cls, given, at, position, findings, Stock(), static=True)
    findings.raise_if_any()
    if not is_open(list(given.values())):
        _check_whole(cls, cls(**values), given, at, position, findings)
    findings.raise_if_any()


def _given(
    cls: type[Resource], params: Any, at: source.Mapping | None, position: Position | None, findings: Findings,
) -> dict[str, Any]:
    """The parameters that were given by the names of their fields; finds unknown and doubled ones."""
    if params is None:
        params = {}
    if isinstance(params, (str, Secret, Unknown)) and cls.free_form:
        params = {cls.free_form: params}
    if not isinstance(params, dict):
        findings.add(f"{cls.kind} takes parameters, got {coerce.shown(params)}", position,
                     hint=f"write `parameter: value` lines below `{cls.kind}:`")
        findings.raise_if_any()
    known = parameters(cls)
    spelled: dict[str, str] = {}
    found: dict[str, Any] = {}
    for key, value in params.items():
        name = key if key in known else cls.aliases.get(key, key)
        if name not in known and cls.open_ended:
            continue
        if name not in known:
            where = at.key_at(key) if at is not None else position
            if any(one.name == name for one in fields(cls)):
                findings.add(f"{cls.kind}.{key} is what is found on the host and cannot be set", where)
            else:
                near = suggestion(key, [*known, *cls.aliases])
                hint = near or f"`provision doc {cls.kind}` lists the parameters"
                findings.add(f'{cls.kind} has no parameter "{key}"', where, hint=hint)
        elif value is None:
            continue
        elif name in spelled:
            findings.add(f'"{key}" and "{spelled[name]}" are the same parameter of {cls.kind}',
                         at.key_at(key) if at is not None else position, hint="leave one of them out")
        else:
            spelled[name] = key
            found[name] = value
    return found


def _check(
    cls: type[Resource], given: dict[str, Any], at: source.Mapping | None, position: Position | None,
    findings: Findings, stock: Stock, static: bool,
) -> dict[str, Any]:
    try:
        values: dict[str, Any] = validator(cls, static).validate_python(given, context=stock)
        return values
    except core().ValidationError as error:
        for one in error.errors(include_url=False):
            name = str(one["loc"][0])
            if one["type"] == "missing":
                # A misspelt key was told already, with this name as the suggestion.
                if not any(f'"{name}"' in told.hint for told in findings.items):
                    findings.add(f'{cls.kind} needs "{name}"', position)
                continue
            cause = one.get("ctx", {}).get("error")
            hint = cause.hint if isinstance(cause, Unfit) else ""
            if isinstance(one["input"], bool) and at is not None and "quote it" in hint:
                key = _spelling(cls, name, at)
                if key in at.written:
                    hint = f'write `{key}: "{at.written[key]}"`, with quotes, to have it as text'
            findings.add(f"{cls.kind}.{name}: {cause or one['msg']}", _place(cls, one["loc"], at, position), hint=hint)
        return {}


def _check_whole(
    cls: type[Resource], resource: Resource, given: dict[str, Any], at: source.Mapping | None,
    position: Position | None, findings: Findings,
) -> None:
    """Adds what the kind itself finds wrong, at the first given parameter that the sentence names."""
    values = {name: getattr(resource, name) for name in given}
    boxed = {name: value for name, value in values.items() if coerce.find_secret(value) is not None}
    if boxed:
        # The rules see the values, and their sentences only the names.
        resource = replace(resource, **{name: coerce.revealed(value) for name, value in boxed.items()})
    for sentence in resource.validate():
        for one in _secrets_in(list(boxed.values())):
            sentence = sentence.replace(one.reveal(), str(one)) if one.reveal() else sentence
        named = next((word for word in re.findall(r"\w+", sentence) if word in given), None)
        findings.add(f"{cls.kind}: {sentence}", _place(cls, (named,), at, position) if named else position)


def _secrets_in(value: Any) -> list[Secret]:
    if isinstance(value, Secret):
        return [value]
    items = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return [found for item in items for found in _secrets_in(item)]


def _spelling(cls: type[Resource], name: str, at: source.Mapping) -> str:
    """The key under which a field was written."""
    return next((key for key in (name, *parameters(cls)[name].aliases) if key in at), name)


def _place(
    cls: type[Resource], path: tuple[int | str, ...], at: source.Mapping | None, position: Position | None,
) -> Position | None:
    """Where the value at `path` was written, as far as the source goes."""
    if at is None:
        return position
    inside: Any = at
    for depth, step in enumerate(path):
        key = _spelling(cls, str(step), at) if depth == 0 else step
        if isinstance(inside, source.Mapping) and key in inside:
            position, inside = inside.at(str(key)), inside[str(key)]
        elif isinstance(inside, source.Sequence) and isinstance(key, int) and key < len(inside):
            position, inside = inside.at(key), inside[key]
        else:
            break
    return position
