"""Inventories in YAML (or JSON) form: groups with `hosts`, `vars` and `children`."""

from __future__ import annotations

from typing import Any

from personaplex_provision.errors import Position, suggestion
from personaplex_provision.language.inventory_tree import Group, Host, Tree
from personaplex_provision.language.source import Mapping, Sequence, position_of

_KEYS = ("hosts", "vars", "children")


def looks_like_groups(data: Any) -> bool:
    """Whether a document without a telling name is an inventory in YAML form."""
    if not isinstance(data, Mapping) or not data:
        return False
    return all(one is None or isinstance(one, Mapping) for one in data.values())


def parse_yaml(data: Any, name: str, tree: Tree) -> None:
    """Reads a loaded document into `tree`; `name` is the file. All mistakes go to the tree's findings."""
    if data is None:
        tree.warn("the inventory is empty", Position(name))
    elif not isinstance(data, Mapping):
        where = position_of(data, Position(name))
        tree.findings.add("an inventory in YAML is a mapping of groups", where, hint="all:\n  hosts:\n    lab01:")
    elif "plugin" in data:
        hint = "use an inventory script, or save what `ansible-inventory --list` prints and read that with a script"
        tree.findings.add(f"inventory plugins are not run ({data['plugin']})", data.key_at("plugin"), hint=hint)
    else:
        for group in data:
            _group(group, data[group], data.key_at(group), name, tree)


def _group(name: str, data: Any, where: Position, file: str, tree: Tree) -> bool:
    """Reads one group; False when it is none."""
    if data is not None and not isinstance(data, Mapping):
        tree.warn(f'"{name}" is skipped: it is not a group', where, hint=f"a group holds {', '.join(_KEYS)}")
        return False
    group = tree.add_group(name, where)
    for key, content in (data or {}).items():
        if key not in _KEYS:
            assert isinstance(data, Mapping)
            _unknown(key, name, data.key_at(key), tree)
            continue
        assert isinstance(data, Mapping)
        entries = _entries(key, content, data.at(key), tree)
        for entry in entries:
            value, at = entries[entry], entries.key_at(entry)
            if key == "vars":
                tree.assign(group, entry, value, at, entries.at(entry))
            elif key == "children":
                if _group(entry, value, at, file, tree):
                    tree.add_child(name, entry, at)
            else:
                _host(entry, value, at, name, file, tree)
    return True


def _entries(key: str, content: Any, where: Position, tree: Tree) -> Mapping:
    """The entries of `hosts`, `vars` or `children`; a bare text is a single one."""
    if content is None:
        return Mapping(position=where)
    if isinstance(content, Mapping):
        return content
    if isinstance(content, str) and key != "vars":
        return Mapping({str(content): None}, position=where)
    shape = "a list" if isinstance(content, Sequence) else f'"{content}"'
    hint = "end each name with a colon instead of starting it with a dash" if key != "vars" else "name: value"
    tree.findings.add(f'"{key}" is a mapping, not {shape}', where, hint=hint)
    return Mapping(position=where)


def _host(written: str, values: Any, where: Position, group: str, file: str, tree: Tree) -> None:
    hosts: list[Host | Group] = [*tree.add_hosts(written, group, where, file)]
    if values is None:
        return
    if not isinstance(values, Mapping):
        summary = f'what is said of the host "{written}" is not a mapping'
        tree.findings.add(summary, where, hint="ansible_host: 10.0.0.1")
        return
    for host in hosts:
        for key in values:
            tree.assign(host, key, values[key], values.key_at(key), values.at(key))


def _unknown(key: str, group: str, where: Position, tree: Tree) -> None:
    near = suggestion(key, _KEYS)
    if near:
        tree.findings.add(f'a group has no "{key}"', where, hint=near)
    else:
        tree.warn(f'"{key}" in the group "{group}" is skipped', where, hint=f"a group holds {', '.join(_KEYS)}")
