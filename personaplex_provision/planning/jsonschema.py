"""The JSON schema of a playbook (draft 2020-12), for editors; from the kinds and the tables of keywords.

It knows every keyword and parameter, with its text. Text that holds a template is fit for any value, as in the
language. It is a help while typing: `provision validate` is what decides.
"""

from __future__ import annotations

import types
import typing
from collections.abc import Mapping
from typing import Any, Literal, Union

from personaplex_provision.agent.resource import Resource
from personaplex_provision.agent.resources._matching import MATCHERS
from personaplex_provision.agent.values import Blob, Secret
from personaplex_provision.language import keyword_types
from personaplex_provision.language.keywords import CONTROLLER_KINDS, KEYWORDS, META, allowed
from personaplex_provision.language.verify import PREFIX
from personaplex_provision.planning.documentation import CONTROLLER, document
from personaplex_provision.planning.kinds import kind_names, load_kind
from personaplex_provision.planning.validator import parameters

Schema = dict[str, Any]

_ELSEWHERE = {
    kind: collection for collection, kinds in (
        ("ansible.posix", "acl at authorized_key firewalld mount seboolean selinux sysctl synchronize"),
        ("community.general", "alternatives archive dconf filesystem flatpak git_config htpasswd ini_file locale_gen"),
        ("community.general", "lvg lvol make modprobe npm parted pam_limits pipx snap timezone ufw xattr xml"),
        ("community.crypto", "openssl_privatekey openssl_csr x509_certificate openssh_keypair"),
    ) for kind in kinds.split()
}
"The collection of a kind that is not in ansible.builtin."


def playbook_schema(library: Mapping[str, str] | None = None) -> Schema:
    """The schema of a playbook file; `library` are the user's own kinds."""
    names = sorted({*kind_names(), *(library or {})})
    kinds = {name: _kind(name, library) for name in names}
    kinds |= {name: _controller(name) for name in sorted(CONTROLLER_KINDS) if name not in kinds}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "A playbook of provision",
        "type": "array",
        "items": {"anyOf": [_ref("play"), _ref("import_playbook")]},
        "$defs": {
            "template": {"type": "string", "pattern": r"\{\{|\{%"},
            "play": _object(_keywords("play"), required=["hosts"]),
            "import_playbook": _object(
                {**_both("import_playbook", {"type": "string"}), **_keywords("playbook")},
                one_of=_spelled("import_playbook"),
            ),
            "tasks": _list_of("block", "include", "import", "task"),
            "handlers": _list_of("include", "import", "handler"),
            "block": _object(_keywords("block"), required=["block"]),
            "include": _reader("include"),
            "import": _reader("import"),
            "checks": _list_of("check"),
            "check": _check(list(kinds)),
            "matcher": _MATCHER,
            "role": {"anyOf": [{"type": "string"}, _role()]},
            "task": _task("task", list(kinds)),
            "handler": _task("handler", list(kinds)),
            **{f"kind_{name}": found for name, found in kinds.items()},
        },
    }


def type_schema(hint: Any) -> Schema:
    """The schema of what users may write for a field of this type."""
    origin, args = typing.get_origin(hint) or hint, typing.get_args(hint)
    if origin in (Union, types.UnionType):
        return _any_of(*(type_schema(one) for one in args if one is not type(None)))
    if origin is Literal:
        values = list(args)
        words = {"yes", "no", "true", "false", "on", "off"} & {one for one in values if isinstance(one, str)}
        return _any_of({"enum": [*values, *([True, False] if words else [])]}, _ref("template"))
    if origin is list:
        item = type_schema(args[0]) if args else {}
        single = [{"type": ["string", "number"]}] if not args or args[0] is str else [_ref("template"), item]
        return _any_of({"type": "array", "items": item}, *single)
    if origin is dict:
        values_of = type_schema(args[1]) if len(args) > 1 else {}
        return _any_of({"type": "object", "additionalProperties": values_of}, _ref("template"))
    if hint is Blob:
        return {"type": ["string", "number", "object", "array"]}
    return _SIMPLE.get(hint, {})


def _ref(name: str) -> Schema:
    return {"$ref": f"#/$defs/{name}"}


_NUMBER_TEXT = {"type": "string", "pattern": r"^\s*[-+]?[0-9.]+\s*$"}
_BOOLEAN = [
    {"type": "boolean"},
    {"enum": ["yes", "no", "on", "off", "true", "false", "True", "False", "Yes", "No", "y", "n", 0, 1]},
    _ref("template"),
]
_SIMPLE: dict[Any, Schema] = {
    str: {"type": ["string", "number"]},
    Secret: {"type": ["string", "number"]},
    bool: {"anyOf": _BOOLEAN},
    int: {"anyOf": [{"type": "integer"}, _NUMBER_TEXT, _ref("template")]},
    float: {"anyOf": [{"type": "number"}, _NUMBER_TEXT, _ref("template")]},
}
_TEXT, _INT, _FLOAT, _BOOL = _SIMPLE[str], _SIMPLE[int], _SIMPLE[float], _SIMPLE[bool]
_MATCHER: Schema = {
    "description": "A value, or matchers that must all hold.",
    "anyOf": [
        {"type": ["string", "number", "boolean", "array"]},
        {"type": "object", "additionalProperties": False, "minProperties": 1,
         "properties": {**{name: {} for name in MATCHERS}, "between": {"type": "array", "minItems": 2, "maxItems": 2}}},
    ],
}
_NAMES: Schema = {"anyOf": [_TEXT, {"type": "array", "items": _TEXT}]}
_JUDGED: Schema = {"type": ["string", "boolean"]}
_CONDITION: Schema = {"anyOf": [_JUDGED, {"type": "array", "items": _JUDGED}]}
_MAPPING: Schema = {"anyOf": [{"type": "object"}, _ref("template")]}


def _keyword(name: str) -> Schema:
    """What a keyword takes, by the name of its type in the language's table."""
    if name in ("tasks", "pre_tasks", "post_tasks", "block", "rescue", "always"):
        return _ref("tasks")
    if name == "verify":
        return _ref("checks")
    if name == "handlers":
        return _ref("handlers")
    if name == "roles":
        return {"type": "array", "items": _ref("role")}
    if name in keyword_types._CHOICES:
        return {"enum": list(keyword_types._CHOICES[name])}
    return _TYPES.get(KEYWORDS[name].type, {})


_TYPES: dict[str, Schema] = {
    "text": _TEXT, "bool": _BOOL, "int": _INT, "number": _FLOAT,
    "duration": {"type": ["string", "number"]}, "percent": {"type": ["string", "number"]},
    "batches": {"type": ["string", "number", "array"]},
    "names": _NAMES, "split": _NAMES, "condition": _CONDITION, "mapping": _MAPPING,
    "variables": {"type": ["object", "null"]}, "environment": {"anyOf": [*_MAPPING["anyOf"], {"type": "array"}]},
    "list": {"type": "array"}, "loop": {"type": ["array", "string"]},
    "identifier": {"type": "string", "pattern": "^[A-Za-z_][A-Za-z0-9_]*$"},
    "loop_control": {"type": "object", "additionalProperties": False,
                     "properties": {key: {} for key in keyword_types._LOOP_CONTROL}},
    "prompts": {"type": "array", "items": {
        "type": "object", "required": ["name"], "additionalProperties": False,
        "properties": {key: {} for key in keyword_types._PROMPT},
    }},
    "hosts": _NAMES, "vars_files": {"type": ["string", "array"]}, "defaults": {"type": ["object", "array"]},
}


def _keywords(place: str) -> Schema:
    return {name: _keyword(name) for name in allowed(place)}


def _list_of(*names: str) -> Schema:
    return {"type": "array", "items": {"anyOf": [_ref(one) for one in names]}}


def _object(properties: Schema, required: list[str] | None = None, one_of: list[Schema] | None = None,
            patterns: Schema | None = None) -> Schema:
    found: Schema = {"type": "object", "properties": properties, "additionalProperties": False}
    if required:
        found["required"] = required
    if one_of:
        found["oneOf"] = one_of
    if patterns:
        found["patternProperties"] = patterns
    return found


def _any_of(*found: Schema) -> Schema:
    """The union of schemas, unions inside it flattened."""
    flat: list[Schema] = []
    for one in found:
        for part in one["anyOf"] if set(one) == {"anyOf"} else [one]:
            if part not in flat:
                flat.append(part)
    return {} if {} in flat else flat[0] if len(flat) == 1 else {"anyOf": flat}


def _full(kind: str) -> str:
    """The name with its collection."""
    return f"{_ELSEWHERE.get(kind, 'ansible.builtin')}.{kind}"


def _both(kind: str, schema: Schema) -> Schema:
    return {kind: schema, _full(kind): schema}


def _spelled(*kinds: str) -> list[Schema]:
    return [{"required": [name]} for kind in kinds for name in (kind, _full(kind))]


def _task(place: str, kinds: list[str]) -> Schema:
    """A task: keywords, and exactly one kind (or `action`, which names one)."""
    properties = _keywords(place)
    for kind in kinds:
        properties |= _both(kind, _ref(f"kind_{kind}"))
    acting = [{"required": [name]} for name in ("action", "local_action")]
    return _object(properties, one_of=[*_spelled(*kinds), *acting], patterns={"^with_[a-z_]+$": {}})


def _check(kinds: list[str]) -> Schema:
    """An item of `verify:`; its kinds have short names too."""
    names = {name.removeprefix(PREFIX): name for name in kinds if name.startswith(PREFIX)}
    names |= {name: name for name in kinds if name.startswith(PREFIX) or name == "assert"}
    properties = _keywords("check") | {name: _ref(f"kind_{kind}") for name, kind in names.items()}
    one_of = [{"required": [name]} for name in names]
    return _object(properties, one_of=one_of, patterns={"^with_[a-z_]+$": {}})


def _reader(place: str) -> Schema:
    """`include_tasks`, `include_role` and their static twins."""
    tasks, role = f"{place}_tasks", f"{place}_role"
    of_tasks = {"type": ["string", "object"], "properties": {"file": {"type": "string"}, "apply": {"type": "object"}}}
    parts = ("name", "tasks_from", "vars_from", "defaults_from", "handlers_from", "rolespec_validate")
    switches = dict.fromkeys(("public", "allow_duplicates"), _BOOL)
    of_role = _object({**dict.fromkeys(parts, _TEXT), **switches, "apply": {"type": "object"}}, ["name"])
    properties = {**_keywords(place), **_both(tasks, of_tasks), **_both(role, of_role)}
    return _object(properties, one_of=_spelled(tasks, role), patterns={"^with_[a-z_]+$": {}})


def _role() -> Schema:
    """An entry of `roles:`; what is no keyword is a variable of the role."""
    properties = {"role": _TEXT, "name": _TEXT, **_keywords("role")}
    return {"type": "object", "properties": properties, "anyOf": [{"required": ["role"]}, {"required": ["name"]}]}


def _kind(name: str, library: Mapping[str, str] | None) -> Schema:
    """The parameters of a kind, each alias beside its field."""
    cls: type[Resource] = load_kind(name, library)
    page = document(name, library)
    properties, required = {}, []
    for told, one in zip(page.parameters, parameters(cls).values(), strict=True):
        matched = one.name in getattr(cls, "matched", ())
        schema = {"description": told.text, **(_ref("matcher") if matched else type_schema(one.hint))}
        if one.default not in (None, [], {}, "") and isinstance(one.default, (str, int, float)):
            schema["default"] = one.default
        properties[one.name] = schema
        properties |= {alias: {**schema, "description": f"The same as {one.name}."} for alias in one.aliases}
        if one.required:
            required.append([one.name, *one.aliases])
    found = _object(properties)
    found["description"] = page.summary
    if cls.open_ended:
        found["additionalProperties"] = True
    needs = [{"anyOf": [{"required": [name]} for name in names]} for names in required]
    # A free-form kind and one with `args:` or `module_defaults:` get parameters from elsewhere too.
    if needs and not page.free_form:
        found["allOf"] = needs
    others = [_ref("template")] if not page.free_form else [{"type": ["string", "number"]}]
    return {"anyOf": [found, *others, *([] if needs else [{"type": "null"}])]}


def _controller(name: str) -> Schema:
    if name == "meta":
        return {"enum": sorted(META), "description": CONTROLLER[name]}
    return {"type": ["object", "string", "null"], "description": CONTROLLER.get(name, "")}
