"""Sources of an inventory: what an `-i` names, and which form each file has."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence

from personaplex_provision.errors import (
    Diagnostic,
    InvalidError,
    MissingFileError,
    Position,
    ProvisionError,
    suggestion,
)
from personaplex_provision.language.hostnames import split_port
from personaplex_provision.language.inventory_ini import parse_ini
from personaplex_provision.language.inventory_script import is_script, parse_script
from personaplex_provision.language.inventory_tree import Tree
from personaplex_provision.language.inventory_yaml import looks_like_groups, parse_yaml
from personaplex_provision.language.source import read_text
from personaplex_provision.language.vars_file import load_data, opened

_IGNORED_ENDS = (
    ".pyc", ".pyo", ".swp", ".bak", "~", ".rpm", ".md", ".txt", ".rst", ".orig", ".cfg", ".retry",
)  # fmt: skip
_IGNORED_NAMES = ("group_vars", "host_vars", "vars_plugins")


def read_source(source: str, tree: Tree) -> None:
    """Reads one source into `tree`, whose findings get what is wrong with it."""
    if is_host_list(source):
        for text in filter(None, map(str.strip, source.split(","))):
            name, port = split_port(text)
            if name not in tree.hosts:
                tree.add_host(name, "ungrouped", Position("-i"), None, port)
        return
    try:
        _read_path(source, tree)
    except ProvisionError as error:
        tree.findings.take(error)


def is_host_list(source: str) -> bool:
    """Whether a source is `"a,b,"`: hosts instead of a path."""
    return "," in source and not os.path.exists(source)


def vars_folders(sources: Sequence[str]) -> list[str]:
    """The folders whose `group_vars/` and `host_vars/` count, a later one stronger; each once, at its last place."""
    found: dict[str, str] = {}
    for source in sources:
        if not is_host_list(source):
            folder = source if os.path.isdir(source) else os.path.dirname(source)
            real = os.path.realpath(folder or ".")
            found.pop(real, None)
            found[real] = folder
    return list(found.values())


def _read_path(path: str, tree: Tree) -> None:
    if os.path.isdir(path):
        for name in sorted(os.listdir(path)):
            if not (name.startswith(".") or name in _IGNORED_NAMES or name.endswith(_IGNORED_ENDS)):
                read_source(os.path.join(path, name), tree)
    elif not os.path.exists(path):
        raise MissingFileError(_missing(path))
    elif is_script(path):
        parse_script(path, tree)
    else:
        _read_text(path, tree)


def _read_text(path: str, tree: Tree) -> None:
    """Reads a file by its name: YAML's extensions, or none and the look of YAML; else INI."""
    text = opened(read_text(path), path, tree.open_text)
    extension = os.path.splitext(path)[1]
    if text.startswith("#!") and extension not in (".yml", ".yaml"):
        hint = f"chmod +x {path}"
        raise InvalidError(Diagnostic("an inventory script must be executable", "", Position(path), hint))
    if extension == ".toml":
        raise InvalidError(Diagnostic("inventories in TOML are not read", "", Position(path), "write YAML or INI"))
    if extension in (".yml", ".yaml", ".json"):
        parse_yaml(load_data(text, path), path, tree)
        return
    if not extension:
        try:
            data = load_data(text, path)
        except InvalidError:
            if _starts_like_yaml(text):
                raise
        else:
            if looks_like_groups(data):
                parse_yaml(data, path, tree)
                return
    parse_ini(text, path, tree)


def _starts_like_yaml(text: str) -> bool:
    """Whether the first line that says something is one of YAML or JSON, though the file may be broken further down."""
    for line in text.splitlines():
        if line.strip() and not line.lstrip().startswith(("#", ";")):
            return bool(re.fullmatch(r"---.*|\s*\{.*|[\w.-]+:\s*(#.*)?", line))
    return False


def _missing(path: str) -> Diagnostic:
    folder = os.path.dirname(path) or "."
    hint = suggestion(os.path.basename(path), os.listdir(folder)) if os.path.isdir(folder) else ""
    if not hint and os.sep not in path:
        hint = f'a host instead of a file is written with a comma: -i "{path},"'
    return Diagnostic(f"the inventory {path} does not exist", hint=hint)
