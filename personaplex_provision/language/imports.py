"""`import_tasks include_tasks import_role include_role`: what they name, read right away when that is known."""

from __future__ import annotations

import os

from personaplex_provision.errors import Diagnostic, MissingFileError, Position, suggestion
from personaplex_provision.language import roles, tasks
from personaplex_provision.language.keyword_places import parse_keywords
from personaplex_provision.language.keyword_types import check_fields, describe, put, text_of, without
from personaplex_provision.language.keywords import short_kind
from personaplex_provision.language.loader import Loader, Scope, first_file
from personaplex_provision.language.params import split_free_form
from personaplex_provision.language.source import Mapping
from personaplex_provision.language.tree import Import, Node, Role

_TASKS_FIELDS = {"file": "text", "apply": "mapping"}
_ROLE_FIELDS = {
    "name": "text", "tasks_from": "text", "vars_from": "text", "defaults_from": "text", "handlers_from": "text",
    "apply": "mapping", "public": "bool", "allow_duplicates": "bool", "rolespec_validate": "bool",
}


def parse_import(
    item: Mapping, key: str, keywords: Mapping, lookup: str, scope: Scope, loader: Loader
) -> Import | None:
    """The import that a task is; None when it does not say what to import."""
    kind = short_kind(key)
    form, what = kind.split("_")
    params = _params(item, key, what, loader)
    if params is None:
        return None
    fields = dict(_TASKS_FIELDS if what == "tasks" else _ROLE_FIELDS)
    if form == "import" and "apply" in params:
        loader.findings.add(f'"{key}" cannot have "apply"', params.key_at("apply"),
                            hint="give the keywords to the import itself: what is inside inherits them")
    params = check_fields(params, fields, key, loader.findings)
    target = params.get("file" if what == "tasks" else "name")
    if not target:
        loader.findings.add(f'"{key}" does not say which {"file" if what == "tasks" else "role"}', item.at(key),
                            hint="give `file:`" if what == "tasks" else "give `name:`")
        return None
    apply = params.get("apply")
    found = Import(
        what=what, static=form == "import", target=str(target), nodes=[], loaded=False,
        keywords=without(keywords, {"name"}), params=params, name=str(keywords.get("name") or ""),
        position=item.position, file=scope.file, role=scope.role, lookup=lookup,
        apply=parse_keywords(apply, list(apply), "apply", loader) if isinstance(apply, Mapping) else Mapping(),
    )
    known = loader.render(found.target, scope)
    entry = loader.render(str(params.get("tasks_from", "main")), scope)
    if known is None or entry is None:
        _not_known(found, item.key_at(key), loader)
    else:
        read(found, known, entry, scope, loader)
    return found


def read(found: Import, target: str, entry: str, scope: Scope, loader: Loader) -> None:
    """Reads what `found` names: `target` is its file or role and `entry` its tasks_from, both rendered."""
    if found.what == "tasks":
        _read_tasks(found, target, found.params.at("file"), scope, loader)
    else:
        _read_role(found, target, entry, found.params.at("name"), scope, loader)


def _params(item: Mapping, key: str, what: str, loader: Loader) -> Mapping | None:
    """The parameters of an import as a mapping, whichever way they were written."""
    value = item[key]
    if isinstance(value, Mapping):
        if "role" in value and what == "role" and "name" not in value:
            renamed = Mapping(position=value.position)
            for name in value:
                put(renamed, name, value[name], value)
            put(renamed, "name", value["role"], value)
            del renamed["role"]
            renamed.key_positions["name"], renamed.value_positions["name"] = value.key_at("role"), value.at("role")
            return renamed
        return value
    text = text_of(value)
    if text is None:
        wants = "a file" if what == "tasks" else "a role"
        loader.findings.add(f'"{key}" needs {wants}, not {describe(value)}', item.at(key))
        return None
    if what == "role" and "=" in text:
        try:
            return split_free_form(text)
        except ValueError as error:
            loader.findings.add(f'"{key}" has an open quote', item.at(key), str(error), "write it as a mapping")
            return None
    found = Mapping(position=text.position)
    name = "file" if what == "tasks" else "name"
    found[name] = text
    found.key_positions[name] = item.key_at(key)
    found.value_positions[name] = text.position
    return found


def _not_known(found: Import, position: Position, loader: Loader) -> None:
    if found.static:
        loader.findings.add(
            f'"{found.target}" is not known before the run', position,
            "an import is read before anything runs: its name may use only extra vars, playbook_dir and role_path",
            f"use `include_{found.what}:`",
        )


def find_task_file(target: str, scope: Scope) -> str | None:
    """The file that `target` names: beside the file that asks, in the role's `tasks/`, beside the playbook."""
    places = [os.path.dirname(scope.file)]
    if scope.role is not None:
        places += [os.path.join(scope.role.path, scope.place + "s"), os.path.join(scope.role.path, "tasks")]
        places += [scope.role.path]
    places += [os.path.join(scope.directory, "tasks"), scope.directory]
    return first_file([os.path.join(place, target) for place in places])


def read_task_file(path: str, scope: Scope, position: Position | None, loader: Loader) -> list[Node]:
    """The tasks in `path`, read in `scope`."""
    good, value = loader.read(path, position)
    if not good:
        return []
    inner = scope.enter(path)
    if isinstance(value, list) and value and isinstance(value[0], Mapping) and "hosts" in value[0]:
        loader.findings.add("this is a playbook, not a list of tasks", value[0].key_at("hosts"),
                            hint="import it with `import_playbook:` from a playbook")
        return []
    return tasks.parse_list(value, inner, loader, Position(path))


def _read_tasks(found: Import, target: str, position: Position, scope: Scope, loader: Loader) -> None:
    path = find_task_file(target, scope)
    if path is None:
        folder = os.path.dirname(os.path.join(os.path.dirname(scope.file), target)) or "."
        near = suggestion(os.path.basename(target), os.listdir(folder) if os.path.isdir(folder) else [])
        _missing(f"no file of tasks {target}", position, near, loader)
        return
    if loader.cycle(path, scope, position):
        return
    found.path, found.loaded = path, True
    found.nodes = read_task_file(path, scope, position, loader)


def _read_role(
    found: Import, name: str, entry: str, position: Position, scope: Scope, loader: Loader
) -> None:
    parts = ("vars_from", "defaults_from", "handlers_from")
    chosen = {key: str(found.params[key]) for key in parts if key in found.params}
    role = roles.load_role(name, position, scope, loader, chosen)
    if role is None:
        return
    found.imported, found.entry_point = role, os.path.splitext(entry)[0]
    path = roles.main_file(role.path, "tasks", entry)
    if path is None:
        if "tasks_from" in found.params:
            folder = os.path.join(role.path, "tasks")
            near = [os.path.splitext(one)[0] for one in os.listdir(folder)] if os.path.isdir(folder) else []
            where = found.params.at("tasks_from")
            _missing(f'the role {name} has no tasks "{entry}"', where, suggestion(entry, near), loader)
        found.loaded = True
        return
    if loader.cycle(path, scope, position):
        return
    found.path, found.loaded = path, True
    if found.entry_point == "main":
        found.nodes = role.tasks
    else:
        found.nodes = read_task_file(path, _inside(scope, role), position, loader)


def _inside(scope: Scope, role: Role) -> Scope:
    return Scope(scope.file, scope.directory, role, scope.chain)


def _missing(summary: str, position: Position, hint: str, loader: Loader) -> None:
    loader.findings.take(MissingFileError(Diagnostic(summary, position=position, hint=hint)))

