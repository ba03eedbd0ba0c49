"""Inventories in INI form: `[group]`, `[group:children]`, `[group:vars]`."""

from __future__ import annotations

import re
import shlex
import warnings
from typing import Any

from personaplex_provision.errors import Position, suggestion
from personaplex_provision.language.hostnames import is_name, split_port
from personaplex_provision.language.inventory_tree import Tree
from personaplex_provision.language.vars_file import positioned

_SECTION = re.compile(r"\[([^:\]\s]+)(?::(\w+))?\]\s*(?:#.*)?")
_GROUP = re.compile(r"([^:\]\s]+)\s*(?:#.*)?")
_KINDS = ("hosts", "children", "vars")


def parse_ini(text: str, name: str, tree: Tree) -> None:
    """Reads `text` into `tree`; `name` is the file that positions speak of. All mistakes go to the tree's findings."""
    _Reader(name, tree).read(text)


def ini_value(text: str) -> Any:
    """What a value means: a Python literal (`5`, `True`, `['a']`, `'text'`), else the text itself."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", SyntaxWarning)
            from ast import literal_eval  # few inventories need it

            value = literal_eval(text)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return text
    return _json_like(value)


def _json_like(value: Any) -> Any:
    """A literal without the types that only Python has."""
    if isinstance(value, (list, tuple, set)):
        return [_json_like(one) for one in value]
    if isinstance(value, dict):
        return {_json_like(key): _json_like(one) for key, one in value.items()}
    if isinstance(value, bytes):
        return value.decode(errors="replace")
    if value is ...:
        return "..."
    return str(value) if isinstance(value, complex) else value


class _Reader:
    """One file; `group` and `kind` say which section the current line is in."""

    def __init__(self, name: str, tree: Tree) -> None:
        self.name, self.tree = name, tree
        self.group, self.kind = "ungrouped", "hosts"
        self.expected: dict[str, list[tuple[str, Position]]] = {}
        self.described: dict[str, Position] = {}

    def read(self, text: str) -> None:
        for number, raw in enumerate(text.splitlines(), 1):
            line = raw.strip()
            if not line or line[0] in ";#":
                continue
            where = Position(self.name, number, len(raw) - len(raw.lstrip()) + 1)
            if not (line[0] == "[" and self._section(line, where)):
                self._entry(line, where)
        self._undeclared()

    def _section(self, line: str, where: Position) -> bool:
        """Whether the line was meant as a section; a host may start with a range, too."""
        found = _SECTION.fullmatch(line)
        if found is None:
            if not line.endswith("]") and is_name(split_port(line.split()[0])[0]):
                return False
            spaces = "spaces have no place in it" if re.search(r"\s", line.split("]")[0]) else ""
            self.tree.findings.add(f"not a section: {line}", where, spaces, "[group], [group:children] or [group:vars]")
            return True
        group, kind = found[1], found[2] or "hosts"
        if kind not in _KINDS:
            at = Position(where.file, where.line, where.column + found.start(2))
            self.tree.findings.add(f'no section is called "{kind}"', at, hint=suggestion(kind, _KINDS) or _SECTIONS)
            kind = "skip"
        self.group, self.kind = group, kind
        if kind in ("hosts", "children", "skip"):
            self.tree.add_group(group, where)
            self.described.pop(group, None)
            for parent, at in self.expected.pop(group, []):
                self.tree.add_child(parent, group, at)
        elif group not in self.tree.groups:
            self.described[group] = Position(where.file, where.line, where.column + found.start(1))
            self.tree.add_group(group, where)
        return True

    def _entry(self, line: str, where: Position) -> None:
        if self.kind == "hosts":
            self._host(line, where)
        elif self.kind == "vars":
            key, equals, value = line.partition("=")
            if not equals:
                hint = "an INI file writes name=value" if ":" in line else "name=value"
                self.tree.findings.add(f'"{line}" is not name=value', where, hint=hint)
                return
            at = Position(where.file, where.line, where.column + len(line) - len(value.lstrip()))
            self._set([self.tree.groups[self.group]], key.strip(), value.strip(), where, at)
        elif self.kind == "children":
            found = _GROUP.fullmatch(line)
            if found is None:
                self.tree.findings.add(f'"{line}" is not the name of a group', where, hint="one group a line")
            elif found[1] in self.tree.groups and found[1] not in self.described:
                self.tree.add_child(self.group, found[1], where)
            else:
                self.expected.setdefault(found[1], []).append((self.group, where))

    def _host(self, line: str, where: Position) -> None:
        try:
            words = line.split() if _SIMPLE.fullmatch(line) else shlex.split(line, comments=True)
        except ValueError as error:
            self.tree.findings.add(f"the line cannot be read: {str(error).lower()}", where)
            return
        if (cut := _HASH.search(line)) and line[: cut.start()].split()[-1] in words:
            at = Position(where.file, where.line, where.column + cut.start())
            self.tree.warn('what follows "#" is a comment, also inside a word', at, hint='quote it: name="a#b"')
        hosts = self.tree.add_hosts(words[0], self.group, where, self.name)
        after = len(words[0])
        for word in words[1:]:
            key, equals, value = word.partition("=")
            after = max(line.find(key, after), 0)
            at = Position(where.file, where.line, where.column + after)
            if not equals:
                hint = 'a value with spaces needs quotes: name="a b"'
                self.tree.findings.add(f'"{word}" is not name=value', at, hint=hint)
                continue
            self._set(hosts, key, value, at, Position(at.file, at.line, at.column + len(key) + 1))
            after += len(key)

    def _set(self, targets: list[Any], key: str, text: str, key_at: Position, value_at: Position) -> None:
        for target in targets:
            self.tree.assign(target, key, positioned(ini_value(text), value_at), key_at, value_at)

    def _undeclared(self) -> None:
        """What was said of groups that no section declares."""
        known = [name for name in self.tree.groups if name not in self.described and name not in self.expected]
        for group, where in self.described.items():
            if group in self.expected:
                continue
            hint = suggestion(group, known) or f"add a section [{group}]"
            self.tree.findings.add(f'no group is called "{group}"', where, hint=hint)
        for group, uses in self.expected.items():
            hint = suggestion(group, [one for one in known if one != uses[0][0]]) or f"add a section [{group}]"
            self.tree.findings.add(f'no group is called "{group}"', uses[0][1], hint=hint)


_SIMPLE = re.compile(r"[^'\"\\#]*")
_HASH = re.compile(r"(?<=[^\s#'\"])#")
_SECTIONS = "[group], [group:children] or [group:vars]"
