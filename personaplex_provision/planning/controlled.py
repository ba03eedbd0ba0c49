"""Parameters as a kind wants them: rendered, free-form text split, and what only the controller can decide."""

from __future__ import annotations

from collections.abc import Mapping as AbstractMapping
from typing import Any

from personaplex_provision.errors import Diagnostic, InvalidError
from personaplex_provision.language.key_values import parse_key_values
from personaplex_provision.language.source import Mapping
from personaplex_provision.language.templates import Templar
from personaplex_provision.language.tree import Written
from personaplex_provision.language.values import find_unknown
from personaplex_provision.planning.context import HostContext
from personaplex_provision.planning.kinds import load_kind


def params(
    written: Written, templar: Templar, defaults: dict[str, Any], context: HostContext, address: str,
) -> Any:
    """The rendered parameters of a task. Raises Pending, InvalidError."""
    if written.kind == "assert":
        return _assertion(written, templar)
    if written.kind == "set_fact":
        return _facts(written, templar, context, address)
    if written.kind == "debug":
        return _debug(written, templar)
    rendered = templar.render(written.params, written.kind_position) if written.params is not None else {}
    if isinstance(rendered, str):
        args = templar.render(written.args, written.kind_position) if written.args else {}
        rendered = free_form(written.kind, rendered, {})
        rendered = {**rendered, **args} if isinstance(rendered, dict) else rendered
    if isinstance(rendered, dict):
        rendered = {**{key: value for key, value in defaults.items() if key not in rendered}, **rendered}
    return rendered


def free_form(kind: str, given: Any, library: AbstractMapping[str, str]) -> Any:
    """`kind: text` as parameters: a command's own text, else `k=v` pairs."""
    if not isinstance(given, str):
        return given
    field = load_kind(kind, library).free_form
    if field:
        return {field: given}
    return dict(parse_key_values(given, kind))


def _assertion(written: Written, templar: Templar) -> dict[str, Any]:
    """Conditions are read here; the host only reports what they gave."""
    source = written.params if isinstance(written.params, Mapping) else Mapping()
    that = source.get("that", [])
    conditions = that if isinstance(that, list) else [that]
    results = []
    for number, one in enumerate(conditions):
        where = that.at(number) if hasattr(that, "at") else source.at("that")
        results.append(templar.condition(one, where))
    rest = {key: value for key, value in source.items() if key != "that"}
    found: dict[str, Any] = {} if all(results) else templar.render(rest, written.kind_position)
    return {**found, "that": [str(one) for one in conditions], "results": results}


def _facts(written: Written, templar: Templar, context: HostContext, address: str) -> dict[str, Any]:
    """The values are bound here (`context.results`); the host only reports their names."""
    rendered = templar.render(written.params, written.kind_position)
    if isinstance(rendered, str):
        rendered = dict(parse_key_values(rendered, "set_fact"))
    if not isinstance(rendered, dict):
        raise InvalidError(Diagnostic("set_fact takes `name: value` lines", position=written.kind_position))
    if str(rendered.pop("cacheable", "no")).lower() in ("yes", "true", "1"):
        raise InvalidError(Diagnostic(
            "set_fact: cacheable is not supported: facts are read anew in every run", position=written.kind_position,
            hint="put the value into group_vars or host_vars",
        ))
    for name, value in rendered.items():
        context.results[f"{address}={name}"] = value
    return {"names": sorted(str(one) for one in rendered)}


def _debug(written: Written, templar: Templar) -> dict[str, Any]:
    source = written.params
    if not isinstance(source, Mapping):
        rendered = templar.render(source) if source else "Hello world!"
        return {"msg": str(rendered)}
    found = {key: templar.render(value, source.at(key)) for key, value in source.items() if key != "var"}
    if "var" in source:
        text = str(templar.render(source["var"]))
        value = templar.expression(text, source.at("var"))
        unknown = find_unknown(value)
        found["msg"] = f"{text}: {unknown if unknown else value}"
    elif "msg" in found and not isinstance(found["msg"], str):
        found["msg"] = str(found["msg"])
    return found
