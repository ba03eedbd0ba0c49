"""`argument_specs.yml`: what a role takes, and checking what it is given.

The format is Ansible's: entry point -> `options`, option -> `type required default choices elements options
description version_added no_log aliases`; `required_if`, `required_together`, `required_one_of` and
`mutually_exclusive` are not part of it.
"""

from __future__ import annotations

from typing import Any

from personaplex_provision.agent.values import Secret
from personaplex_provision.errors import Diagnostic, Findings, Position, suggestion
from personaplex_provision.language.keyword_types import check_fields, describe, has_template, like, put
from personaplex_provision.language.source import Mapping, Sealed, position_of
from personaplex_provision.language.values import Unknown

TYPES = ("str", "int", "float", "bool", "list", "dict", "path", "raw", "bytes", "bits", "json", "jsonarg")
"Types that an option may have; `str` when it says none."

_ENTRY = {
    "short_description": "any", "description": "any", "author": "any", "version_added": "any", "seealso": "any",
    "examples": "any", "notes": "any", "options": "mapping", "deprecated": "any",
}
_OPTION = {
    "type": "text", "required": "bool", "default": "any", "choices": "list", "elements": "text",
    "options": "mapping", "description": "any", "version_added": "any", "no_log": "bool", "aliases": "names",
    "deprecated": "any", "removed_in_version": "any", "removed_from_collection": "any", "apply_defaults": "bool",
}


def parse_argument_specs(value: Any, owner: Mapping, findings: Findings) -> Mapping:
    """Entry points -> specs, checked; `owner` is the mapping that has `value` under `argument_specs`."""
    if not isinstance(value, Mapping):
        findings.add(f"argument_specs is a mapping, not {describe(value)}", owner.at("argument_specs"))
        return like(owner)
    found = like(value)
    for name in value:
        if not isinstance(value[name], Mapping):
            findings.add(f'the spec "{name}" is a mapping, not {describe(value[name])}', value.at(name))
            continue
        spec = check_fields(value[name], _ENTRY, "an argument spec", findings)
        if "options" in spec:
            spec["options"] = _options(spec["options"], findings)
        put(found, name, spec, value)
    return found


def _options(options: Mapping, findings: Findings) -> Mapping:
    found = like(options)
    for name in options:
        if not isinstance(options[name], Mapping):
            findings.add(f'the option "{name}" is a mapping, not {describe(options[name])}', options.at(name),
                         hint=f"write `{name}: {{type: str}}`")
            continue
        option = check_fields(options[name], _OPTION, f'the option "{name}"', findings)
        for key in ("type", "elements"):
            if option.get(key) is not None and option[key] not in TYPES:
                findings.add(f'no type "{option[key]}"', option.at(key), hint=suggestion(str(option[key]), TYPES))
        if "options" in option:
            option["options"] = _options(option["options"], findings)
        put(found, name, option, options)
    return found


def check_arguments(spec: Mapping, values: dict[str, Any], position: Position) -> list[Diagnostic]:
    """What is wrong with the `values` (name -> rendered value) that a role is given under an entry point's `spec`.

    Names that the spec does not have are no error, as every variable of the host is among `values`. Unknown,
    secret, sealed and templated values count as given and of the right type.
    """
    findings = Findings()
    _check_options(spec.get("options") or {}, values, position, "", findings, closed=False)
    return findings.items


def argument_defaults(spec: Mapping) -> dict[str, Any]:
    """The defaults that a spec states, option -> value; a role's own `defaults/` win over them."""
    options = spec.get("options") or {}
    return {name: options[name]["default"] for name in options if options[name].get("default") is not None}


def _check_options(
    options: dict[str, Any], values: dict[str, Any], position: Position, path: str, findings: Findings, *, closed: bool
) -> None:
    aliases = {alias: name for name in options for alias in options[name].get("aliases") or []}
    given = {aliases.get(name, name): name for name in values}
    for name, option in options.items():
        where = path + name
        if name not in given or values[given[name]] is None:
            if option.get("required") and option.get("default") is None:
                near = suggestion(name, [one for one in values if one not in options]) if closed else ""
                findings.add(f'the argument "{where}" is required', position, _about(option), near)
            continue
        value = values[given[name]]
        _check_value(option, value, position_of(value, position) or position, where, findings)
    if closed:
        for name, written in given.items():
            if name not in options:
                at = values.key_at(written) if isinstance(values, Mapping) else position
                findings.add(f'no argument "{path}{written}"', at, hint=suggestion(written, options))


def _check_value(option: dict[str, Any], value: Any, position: Position, path: str, findings: Findings) -> None:
    if isinstance(value, (Unknown, Secret, Sealed)) or has_template(value):
        return
    wanted = option.get("type") or "str"
    if not _is(value, wanted):
        findings.add(f'the argument "{path}" needs {_NAMES[wanted]}, not {describe(value)}', position, _about(option))
        return
    choices = [str(one) for one in option.get("choices") or []]
    for item in value if isinstance(value, list) else [value]:
        if choices and str(item) not in choices:
            findings.add(f'the argument "{path}" cannot be {describe(item)}', position,
                         f"choices: {', '.join(choices)}", suggestion(str(item), choices))
    inner = option.get("options")
    if wanted == "list":
        items = value if isinstance(value, list) else str(value).split(",")
        one = {"type": option.get("elements") or "raw", "options": inner}
        for index, item in enumerate(items):
            _check_value(one, item, position_of(item, position) or position, f"{path}[{index}]", findings)
    elif inner and isinstance(value, dict):
        _check_options(inner, value, position, f"{path}.", findings, closed=True)


def _is(value: Any, wanted: str) -> bool:
    """Whether Ansible would take `value` for the type: numbers and booleans written as text count."""
    if wanted in ("str", "path"):
        return not isinstance(value, (dict, list))
    if wanted == "bool":
        return isinstance(value, bool) or str(value).lower() in _BOOLEANS
    if wanted == "list":
        return isinstance(value, (list, str, int, float))
    if wanted == "dict":
        return isinstance(value, dict) or (isinstance(value, str) and ("=" in value or value.startswith("{")))
    if wanted in ("int", "float"):
        try:
            number = float(str(value)) if not isinstance(value, (bool, dict, list)) else None
        except ValueError:
            return False
        return number is not None and (wanted == "float" or number == int(number))
    return True


def _about(option: dict[str, Any]) -> str:
    about = option.get("description") or ""
    return str(about[0]) if isinstance(about, list) and about else str(about or "")


_BOOLEANS = ("yes", "no", "true", "false", "on", "off", "y", "n", "1", "0", "t", "f")
_NAMES = {
    "str": "text", "path": "a path", "int": "a whole number", "float": "a number", "bool": "yes or no",
    "list": "a list", "dict": "a mapping", "raw": "anything", "json": "JSON", "jsonarg": "JSON",
    "bytes": "a size in bytes", "bits": "a size in bits",
}
