"""Playbook files: plays, what they import, and the entry point that reads it all."""

from __future__ import annotations

import os
from collections.abc import Collection
from collections.abc import Mapping as AbstractMapping
from collections.abc import Sequence as AbstractSequence
from typing import Any

from personaplex_provision.agent.record import replace
from personaplex_provision.errors import Position
from personaplex_provision.language import handlers, imports, roles, tasks, verify
from personaplex_provision.language.checks import check_play
from personaplex_provision.language.keyword_places import parse_keywords, unknown_keyword
from personaplex_provision.language.keyword_types import describe, like, put, text_of, without
from personaplex_provision.language.keywords import CONTROLLER_KINDS, IMPORT_KINDS, KEYWORDS, REFUSED, short_kind
from personaplex_provision.language.loader import Loader, OpenText, Scope, library_of
from personaplex_provision.language.source import Mapping, Sequence
from personaplex_provision.language.tree import Import, Play, Playbook

handlers_of = handlers.handlers_of
roles_of = handlers.roles_of
nodes_of = handlers.nodes_of

_OWN = {"name", "hosts", "vars", "vars_files", "roles", "pre_tasks", "tasks", "post_tasks", "handlers"}
"Keywords that have a field of their own in the tree."


def load_playbook(
    path: str,
    *,
    kinds: Collection[str],
    roles_path: AbstractSequence[str] = (),
    static_vars: AbstractMapping[str, Any] | None = None,
    open_text: OpenText | None = None,
) -> Playbook:
    """The playbook in `path` with every role and file it imports.

    `kinds` are the built-in ones; `roles_path` and `ANSIBLE_ROLES_PATH` come after the directories beside the
    playbook; `static_vars` (extra vars) may stand in the names of imports; `open_text` opens encrypted files.
    Raises InvalidError with all that is wrong in all files, MissingFileError when all that is wrong is that one
    file is missing.
    """
    loader = _loader(kinds, roles_path, static_vars, open_text)
    path = os.path.normpath(path)
    plays = _read(path, None, Scope(path, os.path.dirname(path) or "."), loader)
    loader.findings.raise_if_any()
    return Playbook(path=path, plays=plays, directory=os.path.dirname(path) or ".", notes=loader.notes)


def load_import(
    found: Import,
    target: str,
    play: Play,
    *,
    entry: str = "",
    kinds: Collection[str],
    roles_path: AbstractSequence[str] = (),
    static_vars: AbstractMapping[str, Any] | None = None,
    open_text: OpenText | None = None,
) -> Import:
    """A loaded copy of an include of `play` whose name had a template, which is `target` now that it is known.

    `entry` is the rendered `tasks_from` of a role. The kinds of the play's own are known besides `kinds`.
    Raises InvalidError and MissingFileError.
    """
    loader = _loader(kinds, roles_path, static_vars, open_text)
    loader.library = dict(play.library)
    scope = Scope(found.file, play.directory, found.role)
    loaded = replace(found, nodes=[])
    imports.read(loaded, target, entry or "main", scope, loader)
    loader.findings.raise_if_any()
    play.library.update(loader.library)
    return loaded


def _loader(
    kinds: Collection[str],
    roles_path: AbstractSequence[str],
    static_vars: AbstractMapping[str, Any] | None,
    open_text: OpenText | None,
) -> Loader:
    inherited = [one for one in os.environ.get("ANSIBLE_ROLES_PATH", "").split(os.pathsep) if one]
    return Loader(frozenset(short_kind(one) for one in kinds), (*roles_path, *inherited), static_vars or {}, open_text)


def _read(path: str, position: Position | None, scope: Scope, loader: Loader) -> list[Play]:
    good, value = loader.read(path, position)
    if not good:
        return []
    scope = Scope(path, os.path.dirname(path) or ".", chain=(*scope.chain, path))
    if value is None:
        loader.findings.add("the playbook is empty", Position(path), hint="a play starts with `- hosts: all`")
        return []
    if not isinstance(value, Sequence):
        hint = "put `- ` before its first key" if isinstance(value, Mapping) else "a play starts with `- hosts: all`"
        loader.findings.add(f"a playbook is a list of plays, not {describe(value)}",
                            getattr(value, "position", Position(path)), hint=hint)
        return []
    found: list[Play] = []
    for index, item in enumerate(value):
        if not isinstance(item, Mapping):
            loader.findings.add(f"a play is a mapping, not {describe(item)}", value.at(index))
            continue
        key = next((one for one in item if short_kind(one) == "import_playbook"), "")
        if key:
            found += _import(item, key, scope, loader)
        else:
            found.append(_play(item, scope, loader))
    return found


def _import(item: Mapping, key: str, scope: Scope, loader: Loader) -> list[Play]:
    """The plays of another playbook, with the keywords of the import merged in."""
    for other in item:
        if other != key and other not in KEYWORDS and other not in REFUSED:
            unknown_keyword(other, item, "playbook", loader)
    keys = [one for one in item if one in KEYWORDS or one in REFUSED]
    keywords = parse_keywords(item, keys, "playbook", loader)
    target = text_of(item[key])
    if target is None:
        loader.findings.add(f"import_playbook needs a file, not {describe(item[key])}", item.at(key))
        return []
    known = loader.render(target, scope)
    if known is None:
        loader.findings.add(f'"{target}" is not known before the run', item.at(key),
                            "an import is read before anything runs: its name may use only extra vars and playbook_dir",
                            "name the file without a template, or give the variable with -e")
        return []
    path = os.path.normpath(os.path.join(scope.directory, known))
    if loader.cycle(path, scope, item.at(key)):
        return []
    plays = _read(path, item.at(key), scope, loader)
    for play in plays:
        _merge(play, keywords)
    return plays


def _merge(play: Play, keywords: Mapping) -> None:
    for name in keywords.get("vars") or {}:
        put(play.vars, name, keywords["vars"][name], keywords["vars"])
    for key in ("tags", "when"):
        if key not in keywords:
            continue
        both = Sequence(position=keywords.at(key))
        for value, where in ((keywords[key], keywords.at(key)), (play.keywords.get(key, []), play.keywords.at(key))):
            for item in value if isinstance(value, list) else [value]:
                both.append(item)
                both.positions.append(getattr(item, "position", where))
        put(play.keywords, key, both, keywords)


def _play(item: Mapping, scope: Scope, loader: Loader) -> Play:
    loader.library = library_of(scope.directory)
    _check_keys(item, loader)
    keys = [one for one in item if one in KEYWORDS or one in REFUSED or one == "user"]
    keywords = parse_keywords(item, keys, "play", loader)
    play = Play(
        name=str(keywords.get("name") or ""), hosts=keywords.get("hosts"), position=item.position,
        keywords=without(keywords, _OWN), vars=without(keywords.get("vars") or like(item), set()),
        vars_files=list(keywords.get("vars_files") or []), roles=[], pre_tasks=[], tasks=[], post_tasks=[],
        handlers=[], file=scope.file, directory=scope.directory,
    )
    # Roles first: kinds of their own are known to the tasks of the play.
    play.roles = roles.parse_uses(keywords.get("roles"), scope, loader, item.at("roles"))
    verify.replace_list(play.keywords, scope, loader)
    play.pre_tasks, play.tasks, play.post_tasks = (
        tasks.parse_list(keywords.get(key), scope, loader, item.at(key)) for key in ("pre_tasks", "tasks", "post_tasks")
    )
    play.handlers = handlers.parse_handlers(keywords.get("handlers"), scope, loader, item.at("handlers"))
    play.library = dict(loader.library)
    check_play(play, loader)
    return play


def _check_keys(item: Mapping, loader: Loader) -> None:
    known = loader.known_kinds() | CONTROLLER_KINDS | IMPORT_KINDS
    task = next((key for key in item if short_kind(key) in known and key not in KEYWORDS and key != "user"), "")
    if "hosts" not in item:
        hint = f'"{task}" is a task: tasks go under `tasks:` of a play' if task else "`hosts: all` for every host"
        loader.findings.add('the play has no "hosts"', item.position, hint=hint)
        if task:
            return
    for key in item:
        if key in KEYWORDS or key in REFUSED or key == "user":
            continue
        if short_kind(key) in known:
            loader.findings.add(f'"{key}" is a task, and stands where the keywords of a play do', item.key_at(key),
                                hint="indent it as an item of `tasks:`")
        else:
            unknown_keyword(key, item, "play", loader)
