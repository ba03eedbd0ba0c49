"""The groups and hosts of an inventory while its sources are read one after the other."""

from __future__ import annotations

from typing import Any

from personaplex_provision.agent.record import dataclass, field
from personaplex_provision.errors import Diagnostic, Findings, Position
from personaplex_provision.language.connection_names import misspelt
from personaplex_provision.language.hostnames import expand, split_port
from personaplex_provision.language.source import Mapping
from personaplex_provision.language.vars_file import OpenText


@dataclass
class Host:
    """A host as the sources describe it."""

    name: str
    source: str | None
    "The file that named it first."
    vars: Mapping
    groups: dict[str, None] = field(default_factory=dict)
    "Groups that list it, in the order in which they did."


@dataclass
class Group:
    """A group as the sources describe it; `children` and `hosts` keep the order of the sources."""

    name: str
    vars: Mapping
    children: dict[str, None] = field(default_factory=dict)
    parents: dict[str, None] = field(default_factory=dict)
    hosts: dict[str, None] = field(default_factory=dict)
    priority: int = 1
    depth: int = 0
    "The longest way down from `all`."


class Tree:
    """What all sources said so far. Mistakes go to `findings`, doubts to `warnings`."""

    def __init__(self, open_text: OpenText | None = None) -> None:
        self.open_text = open_text
        self.findings = Findings()
        self.warnings: dict[Diagnostic, None] = {}
        self.hosts: dict[str, Host] = {}
        self.groups: dict[str, Group] = {}
        self.add_group("all", Position("<inventory>"))
        self.add_group("ungrouped", Position("<inventory>"))
        self._join("all", "ungrouped")

    def warn(self, summary: str, position: Position, detail: str = "", hint: str = "") -> None:
        """Notes what Ansible would accept and the user hardly means."""
        self.warnings[Diagnostic(summary, detail, position, hint, "warning")] = None

    def add_group(self, name: str, position: Position) -> Group:
        """The group, made when it is new."""
        if name not in self.groups:
            self.groups[name] = Group(name, Mapping(position=position))
        return self.groups[name]

    def add_host(self, name: str, group: str, position: Position, source: str | None, port: int | None = None) -> Host:
        """The host as a member of `group`; a port counts only where the host is named first."""
        host = self.hosts.get(name)
        if host is None:
            host = self.hosts[name] = Host(name, source, Mapping(position=position))
            if port:
                self.assign(host, "ansible_port", port, position, position)
        host.groups[group] = None
        self.groups[group].hosts[name] = None
        return host

    def add_hosts(self, written: str, group: str, position: Position, source: str | None) -> list[Host]:
        """The hosts that `written` names (ranges, a port) as members of `group`; none when it is wrong."""
        pattern, port = split_port(written)
        problem = _problem(pattern)
        if problem:
            self.findings.add(f'"{written}" is not a host: {problem[0]}', position, hint=problem[1])
            return []
        try:
            names = expand(pattern)
        except ValueError as error:
            self.findings.add(f'"{written}" is not a host: {error}', position, hint="lab[01:12], [a:f] or n[0:8:2]")
            return []
        return [self.add_host(name, group, position, source, port) for name in names]

    def add_child(self, parent: str, child: str, position: Position) -> None:
        """Puts a group, which exists, under another."""
        if child == parent or child == "all" or child in self.ancestors(parent):
            self.findings.add(f'the group "{child}" cannot be a child of "{parent}": it would contain itself', position)
        else:
            self._join(parent, child)

    def assign(self, target: Host | Group, name: str, value: Any, key_at: Position, value_at: Position) -> None:
        """Gives a host or group a variable; the last one wins."""
        if name == "ansible_group_priority" and isinstance(target, Group):
            try:
                target.priority = int(value)
            except (TypeError, ValueError):
                self.findings.add("ansible_group_priority is a whole number", value_at)
            return
        if name.startswith("ansible_") and (meant := misspelt(name)):
            self.warn(f'no connection variable is called "{name}"', key_at, hint=f'did you mean "{meant}"?')
        target.vars[name] = value
        target.vars.key_positions[name] = key_at
        target.vars.value_positions[name] = value_at

    def ancestors(self, group: str) -> set[str]:
        """Every group above this one."""
        found: set[str] = set()
        waiting = list(self.groups[group].parents)
        while waiting:
            name = waiting.pop()
            if name not in found:
                found.add(name)
                waiting += self.groups[name].parents
        return found

    def settle(self) -> None:
        """Once all is read: every group is under `all`, every host in a group, every group knows its depth."""
        for name, group in self.groups.items():
            if name != "all" and not group.parents:
                self._join("all", name)
        for host in self.hosts.values():
            own = set(host.groups) - {"all", "ungrouped"}
            if own and "ungrouped" in host.groups:
                del host.groups["ungrouped"], self.groups["ungrouped"].hosts[host.name]
            elif not own and "ungrouped" not in host.groups:
                host.groups["ungrouped"] = None
                self.groups["ungrouped"].hosts[host.name] = None
        for name in self.hosts.keys() & self.groups.keys():
            self.warn(f'"{name}" is the name of a host and of a group', self.hosts[name].vars.position)
        self._measure()

    def _join(self, parent: str, child: str) -> None:
        self.groups[parent].children[child] = None
        self.groups[child].parents[parent] = None

    def _measure(self) -> None:
        """Depths, each group after all of its parents."""
        missing = {name: len(group.parents) for name, group in self.groups.items()}
        ready = ["all"]
        while ready:
            group = self.groups[ready.pop()]
            for name in group.children:
                child = self.groups[name]
                child.depth = max(child.depth, group.depth + 1)
                missing[name] -= 1
                if not missing[name]:
                    ready.append(name)


def _problem(pattern: str) -> tuple[str, str] | None:
    """What is wrong with a host's name and what to write instead; names Ansible takes as they are pass."""
    if not pattern:
        return "it is empty", "lab01"
    if "=" in pattern:
        return 'a name holds no "="', "variables of a group stand under [GROUP:vars], or `vars:`"
    if pattern == "---":
        return "it starts a YAML file", "name the file *.yml"
    if pattern.endswith(":"):
        return "a port follows the colon", "host:22"
    before, colon, port = pattern.rpartition(":")
    if colon and port.isdigit() and not any(char in before for char in ":["):
        return f'"{before}" is not a host name', "set ansible_host, ansible_user and ansible_port apart"
    return None
