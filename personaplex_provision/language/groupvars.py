"""`group_vars/` and `host_vars/` in one folder: which files speak of a group or host, each read once."""

from __future__ import annotations

import os
from collections.abc import Callable

from personaplex_provision.errors import Diagnostic
from personaplex_provision.language.connection_names import misspelt
from personaplex_provision.language.source import Mapping
from personaplex_provision.language.variables import Layer, Level
from personaplex_provision.language.vars_file import OpenText, load_vars_file

_EXTENSIONS = (".yml", ".yaml", ".json")


class VarsFolder:
    """The folder of an inventory or a playbook. Files are looked for and read when they are first asked for."""

    def __init__(self, path: str, open_text: OpenText | None, warn: Callable[[Diagnostic], None]) -> None:
        self.path = path
        self._open_text = open_text
        self._warn = warn
        self._names: dict[str, frozenset[str]] = {}
        self._loaded: dict[tuple[str, str], list[tuple[str, Mapping]]] = {}

    def layers(self, folder: str, name: str, level: Level) -> list[Layer]:
        """What `folder` (`group_vars` or `host_vars`) says of `name`, a layer a file. Raises InvalidError."""
        key = (folder, name)
        if key not in self._loaded:
            self._loaded[key] = [(path, self._load(path)) for path in self._files(folder, name)]
        return [Layer(level, values, path) for path, values in self._loaded[key] if values]

    def _files(self, folder: str, name: str) -> list[str]:
        """The files of `name`: of `NAME/`, `NAME`, `NAME.yml`, `NAME.yaml`, `NAME.json` the first that exists."""
        if name.startswith(os.sep):  # a chroot is named by its path
            return []
        base = os.path.join(self.path, folder, name)
        if os.sep in name:
            found = [one for one in (base, *(base + end for end in _EXTENSIONS)) if os.path.exists(one)]
        else:
            names = self._listing(folder)
            found = [base + end for end in ("", *_EXTENSIONS) if name + end in names]
        for other in found[1:]:
            summary = f"{other} is not read: {found[0]} comes first"
            self._warn(Diagnostic(summary, hint="keep one of them", severity="warning"))
        if not found:
            return []
        return _inside(found[0]) if os.path.isdir(found[0]) else found[:1]

    def _listing(self, folder: str) -> frozenset[str]:
        if folder not in self._names:
            path = os.path.join(self.path, folder)
            self._names[folder] = frozenset(os.listdir(path)) if os.path.isdir(path) else frozenset()
        return self._names[folder]

    def _load(self, path: str) -> Mapping:
        values = load_vars_file(path, self._open_text)
        for name in values:
            if name == "ansible_group_priority":
                hint = "set it in the inventory, under [GROUP:vars]"
                where = values.key_at(name)
                self._warn(Diagnostic(f"{name} has no effect in this file", "", where, hint, "warning"))
            elif name.startswith("ansible_") and (meant := misspelt(name)):
                summary, hint = f'no connection variable is called "{name}"', f'did you mean "{meant}"?'
                self._warn(Diagnostic(summary, "", values.key_at(name), hint, "warning"))
        return values


def _inside(folder: str) -> list[str]:
    """The variable files under a folder, in the order of their names; hidden files and backups are left out."""
    found: list[str] = []
    for name in sorted(os.listdir(folder)):
        path, extension = os.path.join(folder, name), os.path.splitext(name)[1]
        if name.startswith(".") or name.endswith("~"):
            continue
        if os.path.isdir(path):
            found += [] if extension else _inside(path)
        elif not extension or extension in _EXTENSIONS:
            found.append(path)
    return found
