"""The files a plan is made from: the playbook, roles, variables, inventory, and what lies beside them for tasks."""

from __future__ import annotations

import os
from collections.abc import Iterator

from personaplex_provision.language.playbook import handlers_of, nodes_of, roles_of
from personaplex_provision.language.tree import Written
from personaplex_provision.runs.project import Project

_BESIDE = ("group_vars", "host_vars", "vars", "templates", "files", "library")
"Folders beside a playbook or an inventory whose files may have a part in a plan."
_LARGEST = 64 << 20
"Bytes above which a file is not read to be noted: tasks that send it tell what became of it."


def inputs_of(project: Project) -> list[str]:
    """Absolute paths of the files that had, or may have had, a part in the project's plan, sorted."""
    return sorted({os.path.abspath(one) for one in _found(project) if _wanted(one)})


def _found(project: Project) -> Iterator[str]:
    options, playbook = project.options, project.playbook
    folders = {project.directory}
    for source in options.inventory:
        if os.path.isdir(source):
            yield from _inside(source)
        elif os.path.exists(source):
            yield source
            folders.add(os.path.dirname(os.path.abspath(source)))
    yield from (one[1:] for one in options.extra_vars if one.startswith("@"))
    if playbook is not None:
        yield playbook.path
        for play in playbook.plays:
            yield play.file
            folders.add(play.directory)
            yield from play.library.values()
            for name in play.vars_files:
                if isinstance(name, str):
                    yield os.path.join(play.directory, name)
            for role in roles_of(play):
                yield from _inside(role.path)
            for node in (*nodes_of(play), *handlers_of(play)):
                if isinstance(node, Written):
                    yield node.file
    for folder in folders:
        for name in _BESIDE:
            yield from _inside(os.path.join(folder, name))


def _inside(folder: str) -> Iterator[str]:
    for top, folders, files in os.walk(folder):
        folders[:] = [one for one in folders if not one.startswith(".") and one != "__pycache__"]
        yield from (os.path.join(top, one) for one in files if not one.startswith(".") and not one.endswith("~"))


def _wanted(path: str) -> bool:
    try:
        return os.path.isfile(path) and os.path.getsize(path) <= _LARGEST
    except OSError:
        return False
