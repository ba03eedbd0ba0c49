"""Roles: finding their directory, reading it into the tree, and the entries that use them."""

from __future__ import annotations

import os
from typing import Any

from personaplex_provision.agent.record import replace
from personaplex_provision.errors import Diagnostic, MissingFileError, Position, suggestion
from personaplex_provision.language import handlers, tasks, verify
from personaplex_provision.language.argument_specs import parse_argument_specs
from personaplex_provision.language.keyword_places import parse_keywords
from personaplex_provision.language.keyword_types import (
    check,
    check_variables,
    describe,
    like,
    put,
    text_of,
)
from personaplex_provision.language.keywords import KEYWORDS, REFUSED, allowed
from personaplex_provision.language.loader import Loader, Scope, library_of
from personaplex_provision.language.source import Mapping, Sequence
from personaplex_provision.language.tree import Role, RoleUse

_META = {
    "dependencies", "allow_duplicates", "galaxy_info", "argument_specs", "collections", "standalone", "description",
}
_ENTRY_META = {"src", "scm", "version"}
"Keys for `ansible-galaxy` that an entry of dependencies may carry."


def role_directories(scope: Scope, loader: Loader) -> list[str]:
    """Where roles are looked for, in order: beside the playbook and its parent, configured, beside the role."""
    found = [os.path.join(scope.directory, "roles"), os.path.join(scope.directory, os.pardir, "roles")]
    found += [*loader.roles_path, scope.directory]
    if scope.role is not None:
        found.append(os.path.dirname(scope.role.path))
    return list(dict.fromkeys(os.path.normpath(os.path.expanduser(one)) for one in found))


def main_file(role_path: str, folder: str, entry: str = "main") -> str | None:
    """The file of `folder` that `entry` names, with or without its ending; None when there is none."""
    base = os.path.join(role_path, folder, entry)
    for path in (f"{base}.yml", f"{base}.yaml", f"{base}.json", base):
        if os.path.isfile(path):
            return os.path.normpath(path)
    return None


def find_role(name: str, position: Position, scope: Scope, loader: Loader) -> str | None:
    """The directory of the role `name`; reports it as missing otherwise."""
    if os.sep in name or name.startswith("~"):
        candidates = [os.path.join(scope.directory, os.path.expanduser(name))]
        candidates += [os.path.join(one, name) for one in role_directories(scope, loader)]
    else:
        candidates = [os.path.join(one, name) for one in role_directories(scope, loader)]
    for path in candidates:
        if os.path.isdir(path):
            return os.path.normpath(path)
    folders = [one for one in role_directories(scope, loader) if os.path.isdir(one)]
    known = [one for folder in folders for one in os.listdir(folder) if os.path.isdir(os.path.join(folder, one))]
    loader.broken.add(name)
    searched = "looked in: " + ", ".join(role_directories(scope, loader))
    missing = Diagnostic(f'no role "{name}"', searched, position, suggestion(name, known))
    loader.findings.take(MissingFileError(missing))
    return None


def load_role(
    name: str, position: Position, scope: Scope, loader: Loader, chosen: dict[str, str] | None = None
) -> Role | None:
    """The role `name` as seen from `scope`, or None once it is reported missing.

    It is read once for each `chosen`: names of files for `vars_from`, `defaults_from` and `handlers_from`.
    """
    path = find_role(name, position, scope, loader)
    if path is None:
        return None
    chosen = chosen or {}
    key = (path, *(f"{one}={chosen[one]}" for one in sorted(chosen)))
    if key not in loader.roles:
        role = Role(name=name, path=path, position=Position(main_file(path, "tasks") or path))
        loader.roles[key] = role
        _fill(role, position, scope, loader, chosen)
    elif loader.cycle(path, scope, position):
        return None
    role = loader.roles[key]
    loader.library.update(role.library)
    return role


def _fill(role: Role, position: Position, scope: Scope, loader: Loader, chosen: dict[str, str]) -> None:
    role.library = library_of(role.path)
    loader.library.update(role.library)
    role.defaults_files, role.defaults = _variables(role, "defaults", chosen.get("defaults_from"), position, loader)
    role.vars_files, role.vars = _variables(role, "vars", chosen.get("vars_from"), position, loader)
    base = Scope(role.path, scope.directory, role, scope.chain)
    _meta(role, base, loader)
    inner = replace(base, place="task")
    path = main_file(role.path, "handlers", chosen.get("handlers_from", "main"))
    if path is None and "handlers_from" in chosen:
        _missing_part(role, "handlers", chosen["handlers_from"], position, loader)
    if path is not None:
        good, value = loader.read(path)
        if good:
            role.handlers = handlers.parse_handlers(value, inner.enter(path), loader, Position(path))
    path = main_file(role.path, "tasks")
    if path is not None:
        good, value = loader.read(path)
        if good:
            role.tasks += tasks.parse_list(value, inner.enter(path), loader, Position(path))
    path = main_file(role.path, "verify")
    if path is not None:
        good, value = loader.read(path)
        if good:
            role.verify = verify.parse_checks(value, inner.enter(path), loader, Position(path))


def _variables(
    role: Role, folder: str, entry: str | None, position: Position, loader: Loader
) -> tuple[list[str], Mapping]:
    """The files of `defaults` or `vars` that count, and what they hold together."""
    base = os.path.join(role.path, folder, entry or "main")
    single = main_file(role.path, folder, entry or "main")
    files = [single] if single else []
    if not files and os.path.isdir(base):
        names = (os.path.join(root, one) for root, _, found in os.walk(base) for one in found)
        files = sorted(one for one in names if one.endswith((".yml", ".yaml", ".json")))
    if entry and not files:
        _missing_part(role, folder, entry, position, loader)
    together = Mapping(position=Position(files[0] if files else base))
    for file in files:
        good, value = loader.read(file)
        if not good or value is None:
            continue
        if not isinstance(value, Mapping):
            where = getattr(value, "position", Position(file))
            loader.findings.add(f"a file of variables holds a mapping, not {describe(value)}", where)
            continue
        check_variables(value, loader.findings)
        for name in value:
            put(together, name, value[name], value)
    return files, together


def _missing_part(role: Role, folder: str, entry: str, position: Position, loader: Loader) -> None:
    where = os.path.join(role.path, folder)
    near = [os.path.splitext(one)[0] for one in os.listdir(where)] if os.path.isdir(where) else []
    found = Diagnostic(f'the role {role.name} has no {folder} "{entry}"', "", position, suggestion(entry, near))
    loader.findings.take(MissingFileError(found))


def _meta(role: Role, scope: Scope, loader: Loader) -> None:
    path = main_file(role.path, "meta")
    if path is not None:
        good, value = loader.read(path)
        if good and isinstance(value, Mapping):
            for key in value:
                if key not in _META:
                    loader.findings.add(f'meta has no key "{key}"', value.key_at(key), hint=suggestion(key, _META))
            if "allow_duplicates" in value:
                role.allow_duplicates = check("allow_duplicates", value, loader.findings, "bool")[1] is True
            inner = replace(scope.enter(path), chain=(*scope.chain, role.path))
            role.dependencies = parse_uses(value.get("dependencies"), inner, loader, value.at("dependencies"))
            if "argument_specs" in value:
                role.argument_specs = parse_argument_specs(value["argument_specs"], value, loader.findings)
        elif good and value is not None:
            loader.findings.add(f"meta is a mapping, not {describe(value)}", getattr(value, "position", Position(path)))
    path = main_file(role.path, "meta", "argument_specs")
    if path is not None:
        good, value = loader.read(path)
        if good and isinstance(value, Mapping) and "argument_specs" in value:
            role.argument_specs = parse_argument_specs(value["argument_specs"], value, loader.findings)
        elif good:
            where = getattr(value, "position", Position(path))
            loader.findings.add("the file needs the key argument_specs", where,
                                hint="`argument_specs:`, below it `main:`, below that `options:`")


def parse_uses(value: Any, scope: Scope, loader: Loader, position: Position) -> list[RoleUse]:
    """The entries of `roles:` or of `meta: dependencies`, their roles read."""
    if value is None:
        return []
    if not isinstance(value, Sequence):
        loader.findings.add(f"a list of roles is needed, not {describe(value)}", getattr(value, "position", position),
                            hint="each role starts with `- `")
        return []
    uses = [_use(item, value.at(index), scope, loader) for index, item in enumerate(value)]
    return [use for use in uses if use is not None]


def _use(item: Any, position: Position, scope: Scope, loader: Loader) -> RoleUse | None:
    entry = item if isinstance(item, Mapping) else Mapping(position=position)
    key = "role" if "role" in entry else "name"
    name = text_of(entry.get(key)) if isinstance(item, Mapping) else text_of(item)
    if name is None:
        loader.findings.add("a role is its name, or a mapping with `role:`", position, hint="- role: NAME")
        return None
    keys = [one for one in entry if one in KEYWORDS or one in REFUSED]
    keys = [one for one in keys if one not in ("role", "name") and (one in allowed("role") or one in _NO_PARAMETER)]
    keywords = parse_keywords(entry, keys, "role", loader)
    params, own = like(entry), keywords.pop("vars", None)
    for one in entry:
        if one not in keys and one not in ("role", "name", *_ENTRY_META):
            put(params, one, entry[one], entry)
    check_variables(params, loader.findings)
    where = entry.at(key) if isinstance(item, Mapping) else position
    verify.replace_list(keywords, scope, loader)
    known = loader.render(name, scope)
    role: Role | str | None = name if known is None else load_role(known, where, scope, loader)
    if role is None:
        return None
    return RoleUse(role=role, params=params, vars=own if isinstance(own, Mapping) else like(entry),
                   keywords=keywords, name=known or name, position=position, file=scope.file)


_NO_PARAMETER = {"loop", "register", "block", "tasks", "handlers", "pre_tasks", "post_tasks", "sudo", "debugger"}
"Keywords of other places that are surely not meant as a role's parameter."
