"""Cases of the `git` kind; the repository is a local one."""

from __future__ import annotations

from tests.laws.case import Case

_COMMIT = "git -c user.name=a -c user.email=a@example.org commit -qm"
_UP = ["sh", "-c", (
    "git init -q -b main {dir}/up && cd {dir}/up && echo 1 > f && git add f && "
    f"{_COMMIT} one && git tag v1 && echo 2 > f && git add f && {_COMMIT} two"
)]
_OLD = ["git", "clone", "-q", "--branch", "v1", "file://{dir}/up", "{dir}/t"]
_TREE = {"repo": "file://{dir}/up", "dest": "{dir}/t"}

CASES = [
    Case("git", "a new checkout", {**_TREE, "version": "main"}, setup=[_UP]),
    Case("git", "a new shallow checkout of a tag", {**_TREE, "version": "v1", "depth": 1}, setup=[_UP]),
    Case("git", "brought forward", {**_TREE, "version": "main"}, setup=[_UP, _OLD]),
    Case("git", "there already", {**_TREE, "version": "v1"}, setup=[_UP, _OLD], changes=False),
    Case("git", "not updated", {**_TREE, "version": "main", "update": False}, setup=[_UP, _OLD], changes=False),
    Case(
        "git", "put back as committed", {**_TREE, "version": "v1", "force": True},
        setup=[_UP, _OLD, ["sh", "-c", "echo 3 > {dir}/t/f"]],
    ),
]
