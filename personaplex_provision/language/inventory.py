"""The inventory: hosts, groups, and the variables said of them beside the inventory and beside the playbook."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from personaplex_provision.agent.record import dataclass
from personaplex_provision.errors import Diagnostic, InvalidError, Position, UsageError, suggestion
from personaplex_provision.language.groupvars import VarsFolder
from personaplex_provision.language.hostnames import LOCALHOST
from personaplex_provision.language.inventory_source import read_source, vars_folders
from personaplex_provision.language.inventory_tree import Tree
from personaplex_provision.language.patterns import Selector, checked_limit
from personaplex_provision.language.source import Mapping
from personaplex_provision.language.variables import Layer, Level
from personaplex_provision.language.vars_file import OpenText


@dataclass
class InventoryHost:
    """A host by its name in the inventory; `groups` are all it is in, sorted, without `all` (`group_names`)."""

    name: str
    groups: list[str]


def load_inventory(sources: Sequence[str], open_text: OpenText | None = None) -> Inventory:
    """Reads `-i` sources in order: files in INI or YAML form, scripts, folders of these, `"host,"` lists.

    `open_text` decrypts files that are vaults. Raises MissingFileError for a source that does not exist, InvalidError
    with everything that is wrong in all of them.
    """
    tree = Tree(open_text)
    for source in sources:
        read_source(source, tree)
    tree.findings.raise_if_any()
    tree.settle()
    return Inventory(tree, vars_folders(sources))


class Inventory:
    """All hosts and groups. Variable files are read when a host's layers are first asked for, and once."""

    hosts: dict[str, InventoryHost]
    "Hosts in inventory order: those in no group, then group after group."
    groups: dict[str, list[str]]
    "Group -> hosts, those of its descendants too; `all` and `ungrouped` are among them."

    def __init__(self, tree: Tree, folders: Sequence[str] = ()) -> None:
        self.tree = tree
        "Groups and hosts as written, for printing them."
        self.groups = {name: _members(tree, name) for name in tree.groups}
        closure = {name: {name, *tree.ancestors(name)} for name in tree.groups}
        of_groups: dict[tuple[str, ...], list[str]] = {}
        self.hosts = {}
        for name in self.groups["all"]:
            direct = tuple(tree.hosts[name].groups)
            if direct not in of_groups:
                of_groups[direct] = sorted({one for group in direct for one in closure[group]} - {"all"})
            self.hosts[name] = InventoryHost(name, of_groups[direct])
        self._selector = Selector(self.hosts, self.groups)
        self._folders = [self._folder(path) for path in folders]
        self._playbook_folders: dict[str, VarsFolder | None] = {}
        self._group_layers: dict[tuple[tuple[str, ...], str | None], list[Layer]] = {}
        self._layers: dict[tuple[str, str | None], list[Layer]] = {}

    @property
    def warnings(self) -> list[Diagnostic]:
        """Doubts (severity `warning`) about what was read so far; reading variable files may add some."""
        return list(self.tree.warnings)

    def host(self, name: str) -> InventoryHost:
        """The host, this machine too when no source names it. Raises UsageError for any other name."""
        if name not in self.hosts and name not in LOCALHOST:
            raise UsageError(Diagnostic(f'no host is called "{name}"', hint=suggestion(name, self.hosts)))
        return self.hosts.get(name) or InventoryHost(name, [])

    def explicit(self, host: str) -> bool:
        """Whether a source names the host, which is not so for an implicit `localhost`."""
        return host in self.hosts

    def layers(self, host: str, playbook_dir: str | None = None) -> list[Layer]:
        """What the inventory, `group_vars/` and `host_vars/` say of a host, in the order of `variables.combine`.

        `playbook_dir` is the folder of the playbook. An implicit localhost has the variables of `all`, and is reached
        by the connection `local`. Raises InvalidError for a file that is wrong, UsageError for an unknown host.
        """
        key = (host, playbook_dir)
        if key not in self._layers:
            beside = self._beside_playbook(playbook_dir)
            found = list(self._of_groups(tuple(self.host(host).groups), playbook_dir))
            values = self.tree.hosts[host].vars if self.explicit(host) else _implicit()
            if values:
                found.append(Layer(Level.INVENTORY_FILE_HOST, values, f"inventory host {host}"))
            for folder in self._folders:
                found += folder.layers("host_vars", host, Level.INVENTORY_HOST_VARS)
            if beside is not None:
                found += beside.layers("host_vars", host, Level.PLAYBOOK_HOST_VARS)
            self._layers[key] = found
        return list(self._layers[key])

    def group_layers(self, group: str) -> list[Layer]:
        """What the inventory and the `group_vars/` beside it say of one group itself."""
        return [*self._written(group), *self._filed([group], self._folders, Level.INVENTORY_GROUP_VARS)]

    def host_layers(self, host: str) -> list[Layer]:
        """What the inventory and the `host_vars/` beside it say of one host itself, its groups left out."""
        return [layer for layer in self.layers(host) if layer.level >= Level.INVENTORY_FILE_HOST]

    def magic(self, host: str) -> dict[str, object]:
        """The variables every host has of itself: `inventory_hostname`, `group_names`, `groups` …"""
        source = self.tree.hosts[host].source if host in self.tree.hosts else None
        address = host.replace(".", "").isdigit() or ":" in host
        return {
            "inventory_hostname": host,
            "inventory_hostname_short": host if address else host.split(".")[0],
            "inventory_file": os.path.abspath(source) if source else None,
            "inventory_dir": os.path.dirname(os.path.abspath(source)) if source else None,
            "group_names": self.hosts[host].groups if host in self.hosts else [],
            "groups": self.groups,
        }

    def select(
        self, pattern: str | Sequence[str], position: Position | None = None, limit: str | None = None
    ) -> list[str]:
        """The hosts that `pattern` names and `limit` allows; see `patterns` for what may be written.

        Parts are taken in the order they are written, and within a part hosts come in inventory order; nothing is
        found twice. The result may be empty. Raises InvalidError (UsageError without a position) for a name that is
        no host or group; UsageError for a limit that is empty, wrong, or allows no host at all.
        """
        error = InvalidError if position else UsageError
        if not (pattern.strip(" ,:") if isinstance(pattern, str) else pattern):
            raise error(Diagnostic("no hosts are named", "", position, 'a host, a group, or "all"'))
        if limit is None:
            return self._selector.select(pattern, position, error)
        allowed = set(self.limited(limit))
        return [host for host in self._selector.select(pattern, position, error) if host in allowed]

    def limited(self, limit: str) -> list[str]:
        """The hosts a `--limit` allows. Raises UsageError when it is empty, wrong, or allows none."""
        found = self._selector.select(checked_limit(limit), None, UsageError)
        if not found:
            raise UsageError(Diagnostic(f'--limit "{limit}" matches no host', hint="provision inventory --graph"))
        return found

    def _of_groups(self, groups: tuple[str, ...], playbook_dir: str | None) -> list[Layer]:
        """The layers of groups, shared by all hosts that are in the same ones."""
        key = (groups, playbook_dir)
        if key not in self._group_layers:
            beside = self._beside_playbook(playbook_dir)
            ordered = sorted(groups, key=self._rank)
            playbook = [beside] if beside is not None else []
            self._group_layers[key] = [
                *self._written("all"),
                *(layer for group in ordered for layer in self._written(group)),
                *self._filed(["all"], self._folders, Level.INVENTORY_GROUP_VARS_ALL),
                *self._filed(["all"], playbook, Level.PLAYBOOK_GROUP_VARS_ALL),
                *self._filed(ordered, self._folders, Level.INVENTORY_GROUP_VARS),
                *self._filed(ordered, playbook, Level.PLAYBOOK_GROUP_VARS),
            ]
        return self._group_layers[key]

    def _written(self, group: str) -> list[Layer]:
        values = self.tree.groups[group].vars
        return [Layer(Level.INVENTORY_FILE_GROUP, values, f"inventory group {group}")] if values else []

    def _filed(self, groups: Sequence[str], folders: Sequence[VarsFolder], level: Level) -> list[Layer]:
        return [
            layer for folder in folders for group in groups for layer in folder.layers("group_vars", group, level)
        ]

    def _rank(self, group: str) -> tuple[int, int, str]:
        found = self.tree.groups[group]
        return found.depth, found.priority, group

    def _folder(self, path: str) -> VarsFolder:
        return VarsFolder(path, self.tree.open_text, self._warn)

    def _warn(self, diagnostic: Diagnostic) -> None:
        self.tree.warnings[diagnostic] = None

    def _beside_playbook(self, path: str | None) -> VarsFolder | None:
        """The playbook's folder, unless it is the inventory's last one, whose files it would only repeat."""
        if path is None:
            return None
        if path not in self._playbook_folders:
            last = self._folders[-1].path if self._folders else None
            same = last is not None and os.path.realpath(last) == os.path.realpath(path)
            self._playbook_folders[path] = None if same else self._folder(path)
        return self._playbook_folders[path]


def _members(tree: Tree, group: str) -> list[str]:
    """A group's hosts: its own, then those of its children, then those of their children."""
    seen, level = {group: None}, [group]
    while level:
        level = [child for name in level for child in tree.groups[name].children if child not in seen]
        seen |= dict.fromkeys(level)
    return list(dict.fromkeys(host for name in seen for host in tree.groups[name].hosts))


def _implicit() -> Mapping:
    return Mapping(
        {"ansible_connection": "local", "ansible_python_interpreter": sys.executable}, position=Position("<localhost>")
    )


__all__ = ["LOCALHOST", "Inventory", "InventoryHost", "load_inventory"]
