"""Lists of tasks: what each item is, its kind, its parameters and its keywords."""

from __future__ import annotations

from typing import Any

from personaplex_provision.errors import Position, suggestion
from personaplex_provision.language import imports, verify
from personaplex_provision.language.keyword_places import misplaced, parse_keywords, unknown_keyword
from personaplex_provision.language.keyword_types import describe, has_template, put, without
from personaplex_provision.language.keywords import (
    COLLECTIONS,
    CONTROLLER_KINDS,
    IMPORT_KINDS,
    KEYWORDS,
    LOOKUPS,
    META,
    REFUSED,
    REFUSED_KINDS,
    allowed,
    short_kind,
)
from personaplex_provision.language.loader import Loader, Scope
from personaplex_provision.language.params import params_of, spell_out_action
from personaplex_provision.language.source import Mapping, Sequence
from personaplex_provision.language.tree import Block, Node, Written

_OWN = {"name", "listen", "args", "action", "local_action", "block", "rescue", "always"}
"Keywords that have a field of their own in the tree."


def parse_list(value: Any, scope: Scope, loader: Loader, position: Position) -> list[Node]:
    """The tasks of a list; `position` is used when `value` has none. What is wrong goes to the findings."""
    if value is None:
        return []
    if not isinstance(value, Sequence):
        where = getattr(value, "position", position)
        summary = f"a list of tasks is needed, not {describe(value)}"
        loader.findings.add(summary, where, hint="each task starts with `- `")
        return []
    found: list[Node] = []
    for index, item in enumerate(value):
        node = _parse_item(item, value.at(index), scope, loader)
        if node is not None:
            found.append(node)
        elif isinstance(item, Mapping):
            loader.dropped.update(str(item[key]) for key in ("name", "listen") if key in item)
    return found


def _parse_item(item: Any, position: Position, scope: Scope, loader: Loader) -> Node | None:
    if not isinstance(item, Mapping):
        hint = "write it as `kind: parameters`" if isinstance(item, str) else ""
        loader.findings.add(f"a task is a mapping, not {describe(item)}", position, hint=hint)
        return None
    if "block" in item:
        return _block(item, scope, loader)
    for key in ("rescue", "always"):
        if key in item:
            hint = "put the tasks it guards under `block:`"
            loader.findings.add(f'"{key}" without "block"', item.key_at(key), hint=hint)
            return None
    return _task(item, scope, loader)


def _block(item: Mapping, scope: Scope, loader: Loader) -> Block:
    if scope.place == "handler":
        loader.findings.add("a block is not a handler", item.key_at("block"),
                            hint="make each task a handler and give them the same `listen:`")
    keywords = parse_keywords(item, list(item), "block", loader)
    lists = {
        key: parse_list(keywords.get(key), scope, loader, item.at(key)) for key in ("block", "rescue", "always")
    }
    verify.replace_list(keywords, scope, loader)
    return Block(
        body=lists["block"], rescue=lists["rescue"], always=lists["always"], keywords=without(keywords, _OWN),
        name=str(keywords.get("name") or ""), position=item.position, file=scope.file, role=scope.role,
    )


def _task(item: Mapping, scope: Scope, loader: Loader) -> Node | None:
    item = spell_out_action(item, loader)
    kinds, keys, wrong = _sort_keys(item, loader)
    place = _place(kinds, scope)
    if kinds:
        for key in wrong:
            unknown_keyword(key, item, place, loader)
    if len(kinds) > 1:
        written = ", ".join(f'"{key}"' for key in kinds)
        loader.findings.add(f"the task has {len(kinds)} kinds: {written}", item.key_at(kinds[1]),
                            hint="a task does one thing: make each a task of its own, or indent parameters deeper")
        return None
    if not kinds:
        _no_kind(item, wrong, place, loader)
        parse_keywords(item, keys, place, loader)
        return None
    keywords = parse_keywords(item, keys, place, loader)
    lookup = _lookup(item, place, loader)
    if lookup:
        put(keywords, f"with_{lookup}", item[f"with_{lookup}"], item)
    kind = short_kind(kinds[0])
    if kind in REFUSED_KINDS:
        reason, hint = REFUSED_KINDS[kind]
        loader.findings.add(f'"{kinds[0]}" is left out: {reason}', item.key_at(kinds[0]), hint=hint)
        return None
    if kind in IMPORT_KINDS:
        return imports.parse_import(item, kinds[0], keywords, lookup, scope, loader)
    return _written(item, kinds[0], keywords, lookup, scope, loader)


def _place(kinds: list[str], scope: Scope) -> str:
    kind = short_kind(kinds[0]) if kinds else ""
    if kind in IMPORT_KINDS:
        return kind.split("_")[0]
    return scope.place


def _sort_keys(item: Mapping, loader: Loader) -> tuple[list[str], list[str], list[str]]:
    """The keys of a task: those that are kinds, keywords (with_X apart), and neither."""
    known = loader.known_kinds() | CONTROLLER_KINDS | IMPORT_KINDS | set(REFUSED_KINDS)
    kinds, keys, wrong = [], [], []
    for key in item:
        if key in KEYWORDS or key in REFUSED:
            keys.append(key)
        elif short_kind(key) in known:
            kinds.append(key)
        elif not key.startswith("with_"):
            wrong.append(key)
    return kinds, keys, wrong


def _no_kind(item: Mapping, wrong: list[str], place: str, loader: Loader) -> None:
    if not wrong:
        loader.findings.add("the task has no kind", item.position, f"it has only: {', '.join(item)}",
                            "say what to do: `kind: parameters`, for example `copy:` or `command:`")
        return
    names = [*loader.known_kinds(), *CONTROLLER_KINDS, *IMPORT_KINDS, *allowed(place)]
    for key in wrong:
        collection, _, kind = key.rpartition(".")
        if collection and collection not in COLLECTIONS:
            hint = "run it through `ansible_module:`, or put a kind of your own into library/"
            summary = f'no kind "{key}": the collection {collection} is not built in'
            loader.findings.add(summary, item.key_at(key), hint=hint)
            continue
        hint = suggestion(kind, names) or "kinds of your own go into library/NAME.py"
        loader.findings.add(f'no kind or keyword "{key}"', item.key_at(key), hint=hint)


def _lookup(item: Mapping, place: str, loader: Loader) -> str:
    """X of the one `with_X` of a task, or nothing."""
    given = [key for key in item if key.startswith("with_")]
    if not given:
        return ""
    if place == "import":
        for key in given:
            misplaced(key, item, place, loader)
        return ""
    if "loop" in item or len(given) > 1:
        both = ", ".join(f'"{key}"' for key in [*(["loop"] if "loop" in item else []), *given])
        loader.findings.add(f"the task has more than one loop: {both}", item.key_at(given[-1]),
                            hint="keep one; nest with `with_nested` or the product filter")
        return ""
    name = given[0].removeprefix("with_").removeprefix("ansible.builtin.").removeprefix("community.general.")
    if name not in LOOKUPS:
        loader.findings.add(f'no lookup "{name}" to loop with', item.key_at(given[0]),
                            hint=suggestion(given[0], [f"with_{one}" for one in LOOKUPS]))
        return ""
    if given[0] != f"with_{name}":
        put(item, f"with_{name}", item[given[0]], item)
        item.key_positions[f"with_{name}"] = item.key_at(given[0])
    return name


def _written(
    item: Mapping, key: str, keywords: Mapping, lookup: str, scope: Scope, loader: Loader
) -> Written | None:
    kind = short_kind(key)
    params, args = params_of(item, key, keywords, loader)
    if kind == "meta":
        _check_meta(item, key, loader)
    if kind == "set_fact" and isinstance(params, Mapping) and "cacheable" in params:
        loader.findings.add("set_fact cannot be cacheable: that would be hidden state", params.key_at("cacheable"),
                            hint="leave it out; put what should last into group_vars or a file on the host")
    if "undo" in keywords:
        keywords["undo"] = _undo(keywords["undo"], scope, loader)
    verify.replace_list(keywords, scope, loader)
    if "async" in keywords:
        loader.note('"async" and "poll" have no effect', keywords.key_at("async"),
                    "steps run detached from the connection, and beside each other where `requires:` lets them")
    listen = keywords.get("listen")
    return Written(
        kind=kind, params=params, name=str(keywords.get("name") or ""), position=item.position,
        kind_position=item.key_at(key), keywords=without(keywords, _OWN), file=scope.file, role=scope.role,
        listen=[str(one) for one in listen or []], args=args, lookup=lookup,
    )


def _check_meta(item: Mapping, key: str, loader: Loader) -> None:
    value = item[key]
    if not isinstance(value, str) or (value not in META and not has_template(value)):
        hint = suggestion(str(value), META) or f"it knows: {', '.join(sorted(META))}"
        loader.findings.add(f'meta does not know {describe(value)}', item.at(key), hint=hint)


def _undo(value: Any, scope: Scope, loader: Loader) -> Written | None:
    """`undo:` as the task it is: one kind, and nothing but a name and args beside it."""
    if not isinstance(value, Mapping):
        return None
    node = _task(value, Scope(scope.file, scope.directory, scope.role, scope.chain), loader)
    if node is None:
        return None
    if not isinstance(node, Written) or node.keywords or node.lookup or node.kind in CONTROLLER_KINDS:
        loader.findings.add("undo is one plain task", value.position,
                            hint="give it a kind and its parameters, such as `command: …`, and no keywords")
        return None
    return node
