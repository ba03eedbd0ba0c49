"""The parameters of a task, whichever of Ansible's ways they are written in."""

from __future__ import annotations

import shlex
from typing import Any

from personaplex_provision.language.keyword_types import describe, put, text_of, without
from personaplex_provision.language.loader import Loader
from personaplex_provision.language.source import Mapping, Text


def spell_out_action(item: Mapping, loader: Loader) -> Mapping:
    """`action:` and `local_action:` rewritten as the kind's own key (and `delegate_to: localhost`)."""
    key = next((one for one in ("action", "local_action") if one in item), "")
    if not key:
        return item
    value, kind = item[key], ""
    params: Any = None
    if isinstance(value, Text):
        kind, _, rest = value.partition(" ")
        params = Text(rest.strip())
        params.position = value.position
    elif isinstance(value, Mapping) and isinstance(value.get("module"), str):
        kind, params = value["module"], without(value, {"module"})
    if not kind:
        loader.findings.add(f'"{key}" does not say which kind', item.at(key), hint="write the kind as the key: `copy:`")
        return without(item, {key})
    found = without(item, {key})
    found[kind] = params or None
    found.key_positions[kind], found.value_positions[kind] = item.key_at(key), item.at(key)
    if key == "local_action" and "delegate_to" not in found:
        host = Text("localhost")
        host.position = item.key_at(key)
        found["delegate_to"] = host
        found.key_positions["delegate_to"] = found.value_positions["delegate_to"] = item.key_at(key)
    return found


def params_of(
    item: Mapping, key: str, keywords: Mapping, loader: Loader
) -> tuple[Mapping | Text | None, Mapping | None]:
    """The parameters of a task and, when they are text, its `args:` apart."""
    value, args = item[key], keywords.get("args")
    if isinstance(args, str):
        loader.findings.add('"args" cannot be a template', item.at("args"), hint="write the parameters out")
        args = None
    if isinstance(value, Mapping):
        if args is None:
            return value, None
        merged = without(value, set())
        for name in args:
            if name not in value:
                put(merged, name, args[name], args)
        return merged, None
    if value is None:
        return args, None
    text = text_of(value)
    if text is None:
        hint = f'quote it: {key}: "{item.written.get(key, value)}"' if isinstance(value, bool) else \
            "indent the parameters below the kind, one `name: value` a line"
        got = describe(value, item.written.get(key, ""))
        loader.findings.add(f'the parameters of "{key}" are a mapping or text, not {got}', item.at(key), hint=hint)
    return text, args


def split_free_form(text: Text) -> Mapping:
    """`a=1 b="x y"` as a mapping; a word without `=` becomes the value of `_raw`. Raises ValueError."""
    found = Mapping(position=text.position)
    for word in shlex.split(text):
        name, equals, value = word.partition("=")
        if not equals:
            name, value = "_raw", word
        piece = Text(value)
        piece.position = text.position
        found[name] = piece
        found.key_positions[name] = found.value_positions[name] = text.position
    return found
