"""The inventory as documents: what `ansible-inventory --list` and `--graph` print."""

from __future__ import annotations

from typing import Any

from personaplex_provision.agent.values import Secret
from personaplex_provision.language.inventory import Inventory
from personaplex_provision.language.source import Sealed, Unsafe
from personaplex_provision.language.variables import Layer, combine


def export(inventory: Inventory, *, merged: bool = False) -> dict[str, Any]:
    """The inventory in the form an inventory script prints, ready for JSON; encrypted values stay so.

    As `ansible-inventory --list --export` has it, with variables where they are defined; with `merged` a host has all
    that apply to it and groups have none, as without `--export`.
    """
    found: dict[str, Any] = {}
    _describe(inventory, "all", found, merged)
    hostvars = {}
    for host in inventory.hosts:
        values = export_vars(inventory.layers(host) if merged else inventory.host_layers(host))
        if values:
            hostvars[host] = values
    found["_meta"] = {"hostvars": hostvars, "profile": "inventory_legacy"}
    return found


def graph(inventory: Inventory, group: str = "all") -> str:
    """Groups and their hosts as a tree, from `group` down."""
    return "\n".join(_branch(inventory, group, 0))


def export_vars(layers: list[Layer]) -> dict[str, Any]:
    """The variables that win in `layers`, ready for JSON: encrypted values stay so, a secret is its name."""
    return {name: _plain(value) for name, value in combine(layers).items()}


def _describe(inventory: Inventory, name: str, found: dict[str, Any], merged: bool) -> None:
    group = inventory.tree.groups[name]
    entry: dict[str, Any] = {}
    if name != "all" and group.hosts:
        entry["hosts"] = list(group.hosts)
    if group.children:
        entry["children"] = list(group.children)
    if not merged:
        values = export_vars(inventory.group_layers(name))
        if group.priority != 1:
            values["ansible_group_priority"] = group.priority
        if values:
            entry["vars"] = values
    if entry:
        found[name] = entry
    for child in group.children:
        if child not in found:
            _describe(inventory, child, found, merged)


def _branch(inventory: Inventory, name: str, depth: int) -> list[str]:
    group = inventory.tree.groups[name]
    found = [_twig(f"@{name}:", depth)]
    for child in group.children:
        found += _branch(inventory, child, depth + 1)
    if name != "all":
        found += [_twig(host, depth + 1) for host in group.hosts]
    return found


def _twig(name: str, depth: int) -> str:
    return "  |" * depth + f"--{name}" if depth else name


def _plain(value: Any) -> Any:
    if isinstance(value, Sealed):
        return {"__ansible_vault": value.text}
    if isinstance(value, Unsafe):
        return {"__ansible_unsafe": str(value)}
    if isinstance(value, Secret):
        return repr(value)
    if isinstance(value, dict):
        return {key: _plain(one) for key, one in value.items()}
    if isinstance(value, list):
        return [_plain(one) for one in value]
    return value
