"""The types of keywords: each turns what was written into the value the tree holds, or says what is wrong.

A value with a template (`{{ … }}`) is of every type; it stays text. Numbers where text belongs are taken as they
were written; booleans and nothing are not, since YAML has already lost what was meant.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from personaplex_provision.errors import Findings, Position, suggestion
from personaplex_provision.language.keywords import KEYWORDS, short_kind
from personaplex_provision.language.source import Float, Int, Mapping, Sequence, Text

_TRUE, _FALSE = ("yes", "true", "on", "y", "1"), ("no", "false", "off", "n", "0")
_CHOICES = {
    "on_failure": ("stop", "continue", "rollback"),
    "strategy": ("linear", "free", "host_pinned"),
    "order": ("inventory", "reverse_inventory", "sorted", "reverse_sorted", "shuffle"),
}
_LOOP_CONTROL = {
    "label": "any", "index_var": "identifier", "loop_var": "identifier", "pause": "number", "extended": "bool",
    "extended_allitems": "bool", "break_when": "condition",
}
_PROMPT = {
    "name": "identifier", "prompt": "text", "default": "any", "private": "bool", "confirm": "bool",
    "encrypt": "text", "salt": "text", "salt_size": "int", "unsafe": "bool",
}


class _Refused(Exception):
    """What a type wants instead, for the message; `item` is the one of a list that is wrong, with its position."""

    def __init__(self, wants: str, hint: str = "", position: Position | None = None, item: Any = None) -> None:
        super().__init__(wants)
        self.wants, self.hint, self.position, self.item = wants, hint, position, item


def has_template(value: Any) -> bool:
    """Whether `value` is text with a template in it."""
    return isinstance(value, str) and ("{{" in value or "{%" in value)


def describe(value: Any, written: str = "") -> str:
    """How messages speak of a value: `a list`, `the boolean yes`, `the number 5`, `the text "x"`."""
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return f"the boolean {written or str(value).lower()}"
    if isinstance(value, (int, float)):
        return f"the number {written or value}"
    if isinstance(value, dict):
        return "a mapping"
    if isinstance(value, list):
        return "a list"
    return f'the text "{value}"' if isinstance(value, str) else "a sealed value"


def text_of(value: Any) -> Text | None:
    """`value` as text when it is text or a number, else None."""
    if isinstance(value, Text):
        return value
    if isinstance(value, (Int, Float)):
        found = Text(str(value))
        found.position = value.position
        return found
    return None


def check(key: str, mapping: Mapping, findings: Findings, type_name: str = "") -> tuple[bool, Any]:
    """The value of keyword `key` in `mapping` under its type: (whether it is there and right, the value)."""
    type_name = type_name or KEYWORDS[key].type
    value, written = mapping[key], mapping.written.get(key, "")
    if value is None and type_name in _MAY_BE_EMPTY:
        return False, None
    if has_template(value) and type_name not in _NEVER_TEMPLATES:
        return True, _one(value) if type_name in ("names", "split") else value
    try:
        return True, _TYPES[type_name](key, value, findings)
    except _Refused as refused:
        hint = refused.hint
        if not hint and isinstance(value, bool) and "text" in refused.wants:
            hint = f'YAML reads {written or value} as a boolean; quote it: {key}: "{written or value}"'
        got = describe(refused.item) if refused.position else describe(value, written)
        summary = f'"{key}" needs {refused.wants}, not {got}'
        findings.add(summary, refused.position or mapping.at(key), hint=hint)
        return False, None


def check_fields(mapping: Mapping, fields: dict[str, str], what: str, findings: Findings) -> Mapping:
    """`mapping` with only known keys, each under its type; `what` names it in messages."""
    found = like(mapping)
    for key in mapping:
        if key not in fields:
            findings.add(f'{what} does not know "{key}"', mapping.key_at(key),
                         hint=suggestion(key, fields) or f"it knows: {', '.join(fields)}")
            continue
        good, value = check(key, mapping, findings, fields[key])
        if good:
            put(found, key, value, mapping)
    return found


def like(mapping: Mapping) -> Mapping:
    """An empty mapping at the same position."""
    return Mapping(position=mapping.position)


def put(into: Mapping, key: str, value: Any, source: Mapping) -> None:
    """Sets `key`, with the positions it has in `source`."""
    into[key] = value
    into.key_positions[key] = source.key_at(key)
    into.value_positions[key] = source.at(key)
    if key in source.written:
        into.written[key] = source.written[key]


def without(mapping: Mapping, keys: set[str]) -> Mapping:
    """A copy of `mapping` less `keys`."""
    found = like(mapping)
    for key in mapping:
        if key not in keys:
            put(found, key, mapping[key], mapping)
    return found


def _one(value: Any) -> Sequence:
    found = Sequence([value], position=value.position)
    found.positions.append(value.position)
    return found


def _any(_key: str, value: Any, _findings: Findings) -> Any:
    return value


def _text(_key: str, value: Any, _findings: Findings) -> Text:
    found = text_of(value)
    if found is None:
        raise _Refused("text")
    return found


def _bool(_key: str, value: Any, _findings: Findings) -> bool:
    if isinstance(value, bool):
        return value
    word = str(value).lower() if isinstance(value, (str, int)) else ""
    if word in _TRUE or word in _FALSE:
        return word in _TRUE
    raise _Refused("yes or no")


def _int(_key: str, value: Any, _findings: Findings) -> int:
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    if isinstance(value, str) and re.fullmatch(r"\d+", value):
        return int(value)
    raise _Refused("a whole number")


def _number(_key: str, value: Any, _findings: Findings) -> float:
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return value
    if isinstance(value, str) and re.fullmatch(r"\d+(\.\d+)?", value):
        return float(value)
    raise _Refused("a number of seconds")


def seconds_of(value: Any) -> float | None:
    """A span of time in seconds: a number, or one with `s`, `m` or `h` (`90`, `60s`, `2m`); None when it is none."""
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return float(value)
    found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*(s|m|h|)\s*", value) if isinstance(value, str) else None
    return float(found[1]) * {"": 1, "s": 1, "m": 60, "h": 3600}[found[2]] if found else None


def _duration(_key: str, value: Any, _findings: Findings) -> float:
    found = seconds_of(value)
    if found is None:
        raise _Refused("a time", "seconds, or a number with s, m or h: `60s`")
    return found


def _percent(_key: str, value: Any, _findings: Findings) -> Any:
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return value
    if isinstance(value, str) and re.fullmatch(r"\d+(\.\d+)?%?", value):
        return value
    raise _Refused("a number or a percentage")


def _batches(key: str, value: Any, findings: Findings) -> Any:
    for item in value if isinstance(value, list) else [value]:
        if not has_template(item):
            _percent(key, item, findings)
    return value


def _names(_key: str, value: Any, _findings: Findings) -> Sequence:
    if isinstance(value, Sequence):
        found = Sequence(position=value.position)
        for index, item in enumerate(value):
            text = text_of(item)
            if text is None:
                raise _Refused("a list of texts", _quote(item), value.at(index), item)
            found.append(text)
            found.positions.append(value.at(index))
        return found
    text = text_of(value)
    if text is None:
        raise _Refused("text or a list of texts")
    return _one(text)


def _split(key: str, value: Any, findings: Findings) -> Sequence:
    found = Sequence(position=getattr(value, "position", None))
    for item in _names(key, value, findings):
        for part in item.split(",") if not has_template(item) else [item]:
            text = Text(part.strip())
            text.position = item.position
            if text:
                found.append(text)
                found.positions.append(item.position)
    return found


def _condition(_key: str, value: Any, _findings: Findings) -> Any:
    for index, item in enumerate(value if isinstance(value, list) else [value]):
        if not isinstance(item, (str, bool)):
            position = value.at(index) if isinstance(value, Sequence) else None
            raise _Refused("a condition: text, yes or no, or a list of them", _CONDITION_HINT, position, item)
    return value


def _mapping(_key: str, value: Any, _findings: Findings) -> Mapping:
    if not isinstance(value, Mapping):
        raise _Refused("a mapping")
    return value


def _variables(_key: str, value: Any, findings: Findings) -> Mapping:
    if not isinstance(value, Mapping):
        raise _Refused("a mapping of variables")
    check_variables(value, findings)
    return value


def check_variables(value: Mapping, findings: Findings) -> None:
    """Finds names that are no names of variables."""
    for name in value:
        if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name):
            findings.add(f'"{name}" is not a name of a variable', value.key_at(name),
                         hint="letters, digits and _ only, and no digit first")


def _environment(_key: str, value: Any, _findings: Findings) -> Any:
    for item in value if isinstance(value, list) else [value]:
        if not isinstance(item, Mapping) and not has_template(item):
            raise _Refused("a mapping of names to texts")
    return value


def _list(_key: str, value: Any, _findings: Findings) -> Sequence:
    if not isinstance(value, Sequence):
        raise _Refused("a list", "each item of a list starts with `- `")
    return value


def _loop(_key: str, value: Any, _findings: Findings) -> Any:
    if not isinstance(value, Sequence):
        raise _Refused("a list or a template that gives one", 'write `loop: "{{ name }}"` for a variable')
    return value


def _identifier(_key: str, value: Any, _findings: Findings) -> Text:
    if isinstance(value, Text) and re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", value):
        return value
    raise _Refused("the name of a variable (text)" if isinstance(value, bool) else "the name of a variable",
                   "" if isinstance(value, bool) else "letters, digits and _ only, no digit first, no template")


def _loop_control(_key: str, value: Any, findings: Findings) -> Mapping:
    return check_fields(_mapping(_key, value, findings), _LOOP_CONTROL, "loop_control", findings)


def _prompts(key: str, value: Any, findings: Findings) -> Sequence:
    found = Sequence(position=_list(key, value, findings).position)
    for index, item in enumerate(value):
        if not isinstance(item, Mapping) or "name" not in item:
            raise _Refused("a list of mappings, each with a name", position=value.at(index), item=item)
        found.append(check_fields(item, _PROMPT, "vars_prompt", findings))
        found.positions.append(value.at(index))
    return found


def _choice(key: str, value: Any, _findings: Findings) -> Text:
    if value in _CHOICES[key]:
        return Text(value) if not isinstance(value, Text) else value
    if key == "strategy":
        hint = "other strategies are left out; hosts do not wait for each other anyway"
        raise _Refused("linear, free or host_pinned", hint)
    raise _Refused(f"one of {', '.join(_CHOICES[key])}", suggestion(str(value), _CHOICES[key]))


def _hosts(key: str, value: Any, findings: Findings) -> Any:
    if isinstance(value, list):
        _names(key, value, findings)
    elif text_of(value) is None:
        raise _Refused("a pattern of hosts (text)")
    if not value:
        raise _Refused("a pattern of hosts", "`all` for every host of the inventory")
    return value if isinstance(value, list) else text_of(value)


def _vars_files(key: str, value: Any, findings: Findings) -> Sequence:
    if isinstance(value, Text):
        return _one(value)
    files = _list(key, value, findings)
    for index, item in enumerate(files):
        if not all(isinstance(one, Text) for one in (item if isinstance(item, list) else [item])):
            raise _Refused("a list of files", position=files.at(index), item=item)
    return files


def _defaults(key: str, value: Any, findings: Findings) -> Mapping:
    parts = value if isinstance(value, list) else [value]
    found = Mapping(position=getattr(value, "position", None))
    for part in parts:
        for name in _mapping(key, part, findings):
            if name.startswith("group/"):
                findings.add(f'module_defaults knows no groups: "{name}"', part.key_at(name), hint="name each kind")
            elif isinstance(part[name], Mapping) or has_template(part[name]):
                put(found, short_kind(name), part[name], part)
            else:
                raise _Refused("a mapping of kinds to parameters", position=part.at(name), item=part[name])
    return found


def _quote(value: Any) -> str:
    return "quote it" if isinstance(value, bool) else ""


_CONDITION_HINT = "write the condition as text, without {{ }}"
_TYPES: dict[str, Callable[[str, Any, Findings], Any]] = {
    "any": _any, "text": _text, "bool": _bool, "int": _int, "number": _number, "percent": _percent,
    "duration": _duration,
    "batches": _batches, "names": _names, "split": _split, "condition": _condition, "mapping": _mapping,
    "variables": _variables, "environment": _environment, "list": _list, "loop": _loop,
    "identifier": _identifier, "loop_control": _loop_control, "prompts": _prompts, "hosts": _hosts,
    "vars_files": _vars_files, "defaults": _defaults, "on_failure": _choice, "strategy": _choice, "order": _choice,
}
_MAY_BE_EMPTY = {"names", "split", "condition", "mapping", "variables", "environment", "list", "loop", "prompts",
                 "vars_files", "defaults", "loop_control", "any"}
_NEVER_TEMPLATES = {"identifier", "list", "variables", "prompts", "loop_control", "on_failure", "vars_files"}
