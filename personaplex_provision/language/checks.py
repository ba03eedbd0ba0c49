"""What is wrong with a play as a whole: handlers of one name, and names that nothing has."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable

from personaplex_provision.errors import suggestion
from personaplex_provision.language.handlers import handlers_of, nodes_of
from personaplex_provision.language.keyword_types import has_template
from personaplex_provision.language.loader import Loader
from personaplex_provision.language.source import Mapping, Sequence
from personaplex_provision.language.tree import Block, Import, Node, Play, Role, RoleUse, Written


def check_play(play: Play, loader: Loader) -> None:
    """Finds handlers of one name, and `notify` and `requires` that name nothing.

    Names with templates match whatever they may become. Where a role or file is not known before the run, or
    could not be read, a name may be in there and is not an error.
    """
    nodes, handlers = list(nodes_of(play)), handlers_of(play)
    _check_duplicates(handlers, loader)
    if loader.broken or any(_not_read(node) for node in nodes):
        return
    topics = {topic for handler in handlers for topic in [*_names(handler), *handler.listen] if topic}
    names = {name for node in nodes for name in _names(node) if name}
    for node in [*nodes, *handlers]:
        _check_names(node.keywords, "notify", topics | loader.dropped, "no handler", loader)
        _check_names(node.keywords, "requires", names | loader.dropped, "no task, block or role", loader)


def _check_duplicates(handlers: list[Written], loader: Loader) -> None:
    first: dict[str, Written] = {}
    for handler in handlers:
        if not handler.name or has_template(handler.name):
            continue
        other = first.setdefault(handler.name, handler)
        if other is handler or _same(other, handler):
            continue
        loader.findings.add(f'two handlers are called "{handler.name}"', handler.position,
                            f"the other is at {other.position}", "give one of them another name")


def _same(one: Written, other: Written) -> bool:
    """Whether two roles brought the same handler, so that it does not matter which of them is notified."""
    return one.role is not other.role and (one.kind, one.params, one.keywords, one.args) == (
        other.kind, other.params, other.keywords, other.args)


def _check_names(keywords: Mapping, key: str, known: set[str], nothing: str, loader: Loader) -> None:
    wanted: Sequence = keywords.get(key, Sequence())
    for index, name in enumerate(wanted):
        if has_template(name) or name in known or _matches(name, known):
            continue
        plain = [one for one in known if not has_template(one)]
        near = suggestion(name, plain) or (f"known: {', '.join(sorted(plain)[:8])}" if plain else "there are none")
        loader.findings.add(f'{nothing} is called "{name}"', wanted.at(index), hint=near)


def _matches(name: str, known: Iterable[str]) -> bool:
    """Whether a name with a template may become `name`."""
    for one in known:
        if has_template(one):
            parts = re.split(r"\{\{.*?\}\}|\{%.*?%\}", one)
            if re.fullmatch(".*".join(re.escape(part) for part in parts), name):
                return True
    return False


def _names(node: Node) -> list[str]:
    """What a node may be called in `requires` or `notify`."""
    if isinstance(node, RoleUse):
        return [node.name, os.path.basename(node.name)]
    found = [node.name]
    if isinstance(node, Import) and node.what == "role":
        found += [node.target, os.path.basename(node.target)]
    if isinstance(node, (Written, Block)) and node.role is not None and node.name:
        found.append(f"{node.role.name} : {node.name}")
    return found


def _not_read(node: Node) -> bool:
    if isinstance(node, RoleUse):
        return not isinstance(node.role, Role)
    return isinstance(node, Import) and not node.loaded
