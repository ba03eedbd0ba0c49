"""What tasks provide and need, in one spelling, so that the two meet.

To what a kind says itself comes what follows from it: a file in a systemd folder is a unit, a user brings a group of
its name, a package brings its command, a path below `~` needs its user.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterator

from personaplex_provision.agent.resource import Address, Resource
from personaplex_provision.agent.task import Task

_UNIT_FOLDERS = ("/etc/systemd/system/", "/lib/systemd/system/", "/usr/lib/systemd/system/", "/run/systemd/system/")
_REASONS = {
    "path": "its directory {name}", "user": "user {name}", "group": "group {name}", "package": "package {name}",
    "unit": "its unit {name}", "repository": "package source {name}", "venv": "its virtualenv {name}",
    "command": "command {name}",
}
_PACKAGE_KINDS = frozenset({"apt", "package", "dnf"})


def provided_by(resource: Resource, task: Task) -> list[Address]:
    """What will exist, or will have been removed, once the task is done."""
    return list(dict.fromkeys(_plain(kind, name, task) for kind, name in resource.provides()))


def following_from(what: Address) -> Iterator[Address]:
    """What exists because a path does: the unit it is a file of, the command it is."""
    if what[0] == "path":
        unit = _unit_of(what[1])
        if unit:
            yield ("unit", unit)
        folder, name = posixpath.split(what[1])
        if posixpath.basename(folder) in ("bin", "sbin"):
            yield ("command", name)


def needed_by(resource: Resource, task: Task) -> Iterator[tuple[Address, str]]:
    """What must exist before the task, each with the reason its edge gets (`{name}` is what was found)."""
    own = {"user": getattr(resource, "owner", None), "group": getattr(resource, "group", None)}
    for kind, name in resource.needs():
        what = _plain(kind, name, task)
        reason = _REASONS.get(kind, f"{kind} {{name}}")
        if kind in own and own[kind] == name:
            reason = "its owner {name}" if kind == "user" else "its group {name}"
        yield what, reason
        if kind == "path" and what[1].startswith("~") and what[1][1:].split("/")[0]:
            yield ("user", what[1][1:].split("/")[0]), "home of user {name}"
    if resource.kind in _PACKAGE_KINDS:
        yield ("repository", "*"), "package source before packages"
    if task.user:
        yield ("user", task.user), "runs as user {name}"


def widening(need: Address) -> Iterator[Address]:
    """The addresses that satisfy a need, the nearest first: a path's own, then each directory above it."""
    yield need
    kind, name = need
    if kind in ("path", "venv"):
        if kind == "venv":
            yield ("path", name)
        above = posixpath.dirname(name)
        while above and above != name:
            yield ("path", above)
            name, above = above, posixpath.dirname(above)
    elif kind == "group":
        yield ("user", name)
    elif kind == "command":
        yield ("package", name)
    elif kind == "unit" and "@" in name:
        # An instance comes from its template: `app@one.service` from `app@.service`.
        yield ("unit", name.split("@")[0] + "@." + name.rpartition(".")[2])


def _plain(kind: str, name: str, task: Task) -> Address:
    if kind in ("path", "venv"):
        if name == "~" or name.startswith("~/"):
            name = f"~{task.user}{name[1:]}"
        return kind, posixpath.normpath(name) if name.startswith(("/", "~")) else name
    if kind == "unit" and "." not in name:
        return kind, f"{name}.service"
    return kind, name


def _unit_of(path: str) -> str:
    """The unit that a file in a systemd folder is, or is a drop-in of; empty when it is none."""
    inside = next((path.removeprefix(one) for one in _UNIT_FOLDERS if path.startswith(one)), "")
    inside = inside or path.partition("/.config/systemd/user/")[2]
    head, _, rest = inside.partition("/")
    if rest:
        return head.removesuffix(".d") if head.endswith(".d") else ""
    return head if "." in head and not head.endswith(".d") else ""
