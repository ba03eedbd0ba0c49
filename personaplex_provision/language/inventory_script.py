"""Inventory scripts: executables that print JSON for `--list`, and for `--host NAME` when they give no `_meta`."""

from __future__ import annotations

import json
import os
import subprocess
from typing import Any

from personaplex_provision.errors import Diagnostic, InvalidError, Position
from personaplex_provision.language.inventory_tree import Tree
from personaplex_provision.language.source import Mapping, Sealed, Sequence, Text, Unsafe
from personaplex_provision.language.vars_file import positioned


def is_script(path: str) -> bool:
    """Whether a file is run instead of read. The execute bit alone says nothing where every file has it (drives of
    Windows in WSL), so the file must also start like a program."""
    if not os.access(path, os.X_OK):
        return False
    with open(path, "rb") as file:
        return file.read(4).startswith((b"#!", b"\x7fELF"))


def parse_script(path: str, tree: Tree) -> None:
    """Runs the script and reads what it prints into `tree`. Raises InvalidError."""
    where = Position(path)
    data = _run(path, ["--list"])
    if not isinstance(data, Mapping):
        raise InvalidError(Diagnostic("the inventory script did not print a mapping of groups for --list", "", where))
    named: dict[str, None] = {}
    for name, group in data.items():
        if name != "_meta":
            named |= _group(name, group, path, tree)
    hostvars = _hostvars(data, path)
    if hostvars is None:
        from concurrent.futures import ThreadPoolExecutor  # few inventories need it

        with ThreadPoolExecutor(8) as pool:
            hostvars = dict(zip(named, pool.map(lambda host: _run(path, ["--host", host]), named), strict=True))
    for host in named:
        values = hostvars.get(host) or {}
        if not isinstance(values, Mapping | dict):
            tree.findings.add(f'the variables of "{host}" that the inventory script printed are not a mapping', where)
            continue
        for key, value in values.items():
            tree.assign(tree.hosts[host], key, value, where, where)


def _group(name: str, data: Any, path: str, tree: Tree) -> dict[str, None]:
    """Reads one group, in its short forms too (a list of hosts; variables only, which make a host of that name)."""
    where = Position(path)
    if isinstance(data, Sequence):
        data = Mapping(hosts=data)
    if not isinstance(data, Mapping):
        tree.findings.add(f'the group "{name}" that the inventory script printed is not a mapping', where)
        return {}
    if not data.keys() & {"hosts", "vars", "children"}:
        data = Mapping(hosts=Sequence([Text(name)]), vars=data)
    group = tree.add_group(name, where)
    hosts, values, children = data.get("hosts", []), data.get("vars", {}), data.get("children", [])
    for key, value, kind in (("hosts", hosts, list), ("vars", values, dict), ("children", children, list)):
        if not isinstance(value, kind):
            shape = "list" if kind is list else "mapping"
            tree.findings.add(f'"{key}" of the group "{name}" in the script\'s answer is not a {shape}', where)
            return {}
    for host in hosts:
        tree.add_host(str(host), name, where, path)
    for key, value in values.items():
        tree.assign(group, key, value, where, where)
    for child in children:
        tree.add_group(str(child), where)
        tree.add_child(name, str(child), where)
    return dict.fromkeys(map(str, hosts))


def _hostvars(data: Mapping, path: str) -> dict[str, Any] | None:
    if "_meta" not in data:
        return None
    found = data["_meta"].get("hostvars") if isinstance(data["_meta"], Mapping) else None
    if not isinstance(found, Mapping):
        summary = "the inventory script printed a `_meta` without the mapping `hostvars`"
        raise InvalidError(Diagnostic(summary, "", Position(path), "leave `_meta` out to be asked with --host"))
    return found


def _run(path: str, arguments: list[str]) -> Any:
    """What the script prints, with the marks of encrypted and unsafe values understood."""
    where, call = Position(path), " ".join(arguments)
    try:
        done = subprocess.run([os.path.abspath(path), *arguments], capture_output=True, check=False)
    except OSError as error:
        raise InvalidError(Diagnostic(f"the inventory script cannot be run: {error.strerror}", "", where)) from None
    stderr = done.stderr.decode(errors="replace").strip()
    if done.returncode:
        summary = f"the inventory script failed with exit code {done.returncode} for {call}"
        raise InvalidError(Diagnostic(summary, stderr, where))
    if not done.stdout.strip() and arguments[0] == "--host":
        return {}
    try:
        return _marked(positioned(json.loads(done.stdout), where), where)
    except ValueError as error:
        summary = f"the inventory script did not print JSON for {call}: {error}"
        raise InvalidError(Diagnostic(summary, stderr, where)) from None


def _marked(value: Any, where: Position) -> Any:
    if isinstance(value, Mapping):
        if value.keys() == {"__ansible_vault"}:
            return Sealed(str(value["__ansible_vault"]), where)
        if value.keys() == {"__ansible_unsafe"}:
            text = Unsafe(value["__ansible_unsafe"])
            text.position = where
            return text
        for key, one in value.items():
            value[key] = _marked(one, where)
    elif isinstance(value, Sequence):
        value[:] = [_marked(one, where) for one in value]
    return value
